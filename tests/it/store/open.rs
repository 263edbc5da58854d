//! Which files are opened, and what is said of the others.

use std::fs;
use std::path::Path;

use bascule::store::{RevisionOutcome, SCHEMA_VERSION, Store, StoreError};
use rusqlite::Connection;

use super::sample::{Scratch, at, files, name, reopen, revision};

fn refusal(path: &Path) -> StoreError {
    Store::open(path).expect_err("it is refused")
}

fn sql(path: &Path, text: &str) {
    let connection = Connection::open(path).expect("opens");
    connection.execute_batch(text).expect("runs");
    connection.close().expect("closes");
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_revision(revision(1), files(1), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    store.close().await;
    let before = fs::read(scratch.path()).expect("bytes");
    reopen(scratch.open()).await.close().await;
    assert!(before == fs::read(scratch.path()).expect("bytes"), "the file changed");
    assert_eq!(scratch.count("PRAGMA user_version"), SCHEMA_VERSION);
}

#[tokio::test]
async fn a_file_that_was_only_just_made_gets_its_tables() {
    let scratch = Scratch::new();
    // As after a kill between making the file and the first migration: the id is there, the version is 0.
    sql(&scratch.path(), "PRAGMA application_id = 0x6273636c");
    let store = scratch.open();
    assert_eq!(store.last_good_revision().await.expect("reads"), None);
    store.close().await;
    assert_eq!(scratch.count("PRAGMA user_version"), SCHEMA_VERSION);
}

#[tokio::test]
async fn an_empty_file_and_a_missing_folder_are_filled() {
    let scratch = Scratch::new();
    fs::write(scratch.path(), "").expect("writes");
    scratch.open().close().await;
    let deep = scratch.folder().join("var/lib/bascule/bascule.db");
    Store::open(&deep).expect("opens").close().await;
    assert!(deep.is_file());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_stays_as_it_is() {
    let scratch = Scratch::new();
    scratch.open().close().await;
    let newer = SCHEMA_VERSION + 41;
    sql(&scratch.path(), &format!("PRAGMA user_version = {newer}; CREATE TABLE future (n INTEGER);"));
    let before = fs::read(scratch.path()).expect("bytes");
    let error = refusal(&scratch.path());
    assert!(matches!(error, StoreError::Newer { found, known: SCHEMA_VERSION, .. } if found == newer), "{error:?}");
    let text = error.to_string();
    for part in
        [&format!("version {newer}"), &format!("up to {SCHEMA_VERSION}"), "run the newer bascule", "move the file away"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(before == fs::read(scratch.path()).expect("bytes"), "the file changed");
}

type Make<'a> = &'a dyn Fn(&Path);

#[test]
fn foreign_files_are_refused_and_nothing_is_touched() {
    let foreign_log = |path: &Path| {
        // Killed while it had a log: the header alone tells whose it is, and opening it would take the log in.
        let connection = Connection::open(path).expect("opens");
        let set_up = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE a (n INTEGER);";
        connection.execute_batch(set_up).expect("runs");
        let log = path.with_extension("db-wal");
        let bytes = [fs::read(path).expect("bytes"), fs::read(&log).expect("bytes")];
        connection.close().expect("closes");
        fs::write(path, &bytes[0]).expect("writes");
        fs::write(log, &bytes[1]).expect("writes");
    };
    let cases: [(&str, Make<'_>); 5] = [
        ("text", &|path| fs::write(path, "name: dijon\n".repeat(100)).expect("writes")),
        ("a few bytes", &|path| fs::write(path, "x").expect("writes")),
        ("only the magic", &|path| fs::write(path, "SQLite format 3\0").expect("writes")),
        ("another program's", &|path| sql(path, "PRAGMA application_id = 77; CREATE TABLE a (n INTEGER);")),
        ("another program's with a log", &foreign_log),
    ];
    for (what, make) in cases {
        let scratch = Scratch::new();
        make(&scratch.path());
        let listing = || {
            let entries = scratch.folder().read_dir().expect("a folder").map(|entry| entry.expect("an entry").path());
            let mut files: Vec<_> = entries.map(|path| (fs::read(&path).expect("bytes"), path)).collect();
            files.sort();
            files
        };
        let before = listing();
        let error = refusal(&scratch.path());
        assert!(matches!(error, StoreError::Foreign { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("--state"), "{error}");
        assert!(before == listing(), "{what}: something changed in the folder");
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).expect("a folder");
    assert!(matches!(refusal(&scratch.path()), StoreError::Foreign { .. }));
}

#[tokio::test]
async fn damage_is_found_at_open() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for number in 1..=200 {
        store.record_revision(revision(number), files(number), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    }
    store.close().await;
    // One page loses its header, as with a disk that mixes up blocks; it is one that opening has no other need to read.
    let page = scratch.count("SELECT rootpage FROM sqlite_schema WHERE name = 'applies_edge'");
    let start = (usize::try_from(page).expect("a page") - 1) * 4096;
    let mut bytes = fs::read(scratch.path()).expect("bytes");
    bytes[start..start + 8].fill(0xff);
    fs::write(scratch.path(), &bytes).expect("writes");
    let error = refusal(&scratch.path());
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(bytes == fs::read(scratch.path()).expect("bytes"), "the file changed");
}

#[tokio::test]
async fn rows_that_mean_nothing_are_damage() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_revision(revision(1), files(1), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    store.record_health(vec![(name("a"), super::sample::health(1))]).await.expect("writes");
    store.close().await;
    sql(&scratch.path(), "UPDATE blobs SET bytes = x'00'; UPDATE health SET verdict = 'sideways';");
    let store = scratch.open();
    let error = store.last_good_revision().await.expect_err("the bytes are others");
    assert!(
        matches!(&error, StoreError::Damaged { detail, .. } if detail.contains("not those that were written")),
        "{error:?}"
    );
    let error = store.health().await.expect_err("there is no such verdict");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn integrity_finds_orphans() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.integrity().await.expect("is whole");
    store.close().await;
    sql(
        &scratch.path(),
        "PRAGMA foreign_keys = OFF; INSERT INTO revision_files (path, first_seq, blob) VALUES ('a.yaml', 1, 7);",
    );
    let error = scratch.open().integrity().await.expect_err("there is no such blob");
    assert!(matches!(&error, StoreError::Damaged { detail, .. } if detail.contains("blobs")), "{error:?}");
}

#[tokio::test]
async fn a_log_without_its_file_is_not_taken_in() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_revision(revision(1), files(1), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    // Somebody moves the file away and forgets the log.
    let log = scratch.folder().join("bascule.db-wal");
    let bytes = fs::read(&log).expect("a log");
    assert!(!bytes.is_empty());
    store.close().await;
    fs::remove_file(scratch.path()).expect("removes");
    fs::write(&log, &bytes).expect("writes");

    let store = scratch.open();
    assert_eq!(store.last_good_revision().await.expect("reads"), None);
    store.integrity().await.expect("is whole");
    let aside = fs::read(scratch.folder().join("bascule.db-wal.orphan")).expect("set aside");
    assert!(aside == bytes, "it is not lost");
}
