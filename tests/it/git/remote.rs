//! Remotes behind a `file` URL: what is kept in the cache, and what is fetched.

use std::fs;
use std::path::{Path, PathBuf};

use bascule::core::model::Revision;
use bascule::git::{Location, Moved, Source, SourceError, SourceSettings};

use super::{SITE, failure, fetch, paths, settings};
use crate::support::git_repo::{GitRepo, git};

fn file_url(bare: &Path, cache: PathBuf) -> SourceSettings {
    settings(Location::Remote(format!("file://{}", bare.display())), cache)
}

#[tokio::test]
async fn a_push_is_fetched_and_a_force_push_followed() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let first = repo.head();
    let mut source = Source::open(file_url(&bare, repo.beside("cache"))).expect("it opens");
    let snapshot = source.fetch(None).await.expect("first");
    assert_eq!(
        (snapshot.moved, snapshot.info.id.as_str(), paths(&snapshot)),
        (Moved::First, &*first, vec!["sites/dijon.yaml"])
    );
    let last = |id: &str| Some(Revision::new(id));
    let same = source.fetch(last(&first)).await.expect("same");
    assert_eq!((same.moved, same.files), (Moved::Unchanged, None));

    let second = repo.commit_files(&[("inventory/sites/thory.yaml", "name: thory\n")], "second");
    repo.push();
    let forward = source.fetch(last(&first)).await.expect("forward");
    assert_eq!((forward.moved, forward.info.id.as_str()), (Moved::Forward, &*second));
    assert_eq!(paths(&forward), ["sites/dijon.yaml", "sites/thory.yaml"]);

    repo.git(&["commit", "--quiet", "--amend", "-m", "second, again"]);
    repo.force_push();
    let rewritten = source.fetch(last(&second)).await.expect("rewritten");
    assert_eq!((rewritten.moved, rewritten.info.subject.as_str()), (Moved::Rewritten, "second, again"));
    repo.git(&["reset", "--quiet", "--hard", &first]);
    repo.force_push();
    let back = source.fetch(last(rewritten.info.id.as_str())).await.expect("back");
    assert_eq!((back.moved, back.info.id.as_str()), (Moved::Rewritten, &*first));
}

#[tokio::test]
async fn a_deleted_branch_and_an_empty_remote() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let mut source = Source::open(file_url(&bare, repo.beside("cache"))).expect("it opens");
    let first = source.fetch(None).await.expect("first").info.id;
    git(&bare, &["branch", "--quiet", "-m", "main", "maine"]);
    let (error, text) = failure(source.fetch(Some(first.clone())).await);
    assert!(matches!(error, SourceError::BranchMissing { .. }), "{error:?}");
    assert!(text.contains("did you mean `maine`?"), "{text}");
    git(&bare, &["branch", "--quiet", "-m", "maine", "main"]);
    assert_eq!(source.fetch(Some(first)).await.expect("it is back").moved, Moved::Unchanged);

    let empty = GitRepo::empty();
    let (error, text) = failure(fetch(file_url(&empty.publish(), empty.beside("cache"))).await);
    assert!(matches!(error, SourceError::BranchMissing { .. }) && text.contains("no commits yet"), "{text}");
}

/// What happens to a cache.
type Damage = fn(&Path);

#[tokio::test]
async fn a_damaged_cache_is_made_anew() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let cache = repo.beside("cache");
    let mut source = Source::open(file_url(&bare, cache.clone())).expect("it opens");
    let damages: [(&str, Damage); 5] = [
        ("no objects", |cache| {
            fs::remove_dir_all(cache.join("objects")).expect("it is there");
            fs::create_dir(cache.join("objects")).expect("writable");
        }),
        ("packs cut short", |cache| {
            for entry in fs::read_dir(cache.join("objects/pack")).expect("there are packs") {
                let path = entry.expect("readable").path();
                let length = fs::metadata(&path).expect("readable").len();
                // Packs are made read-only.
                fs::remove_file(&path).expect("writable");
                fs::write(&path, vec![0; usize::try_from(length / 2).expect("small")]).expect("writable");
            }
        }),
        ("no HEAD", |cache| fs::remove_file(cache.join("HEAD")).expect("it is there")),
        ("a lock left behind", |cache| {
            fs::remove_file(cache.join("refs/bascule/fetched")).expect("it is there");
            fs::write(cache.join("refs/bascule/fetched.lock"), "").expect("writable");
        }),
        ("a reference to nothing", |cache| {
            fs::write(cache.join("refs/bascule/fetched"), format!("{}\n", "1".repeat(40))).expect("writable");
        }),
    ];
    for (name, damage) in damages {
        source.fetch(None).await.expect("it can be fetched");
        damage(&cache);
        let snapshot = source.fetch(None).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(paths(&snapshot), ["sites/dijon.yaml"], "{name}");
        git(&cache, &["fsck", "--strict"]);
    }
    assert!(!repo.beside("cache.old").exists() && !repo.beside("cache.new").exists());
}

#[tokio::test]
async fn a_cache_of_another_remote_is_made_anew_and_foreign_files_are_left_alone() {
    let (one, other) = (GitRepo::with(&[SITE]), GitRepo::with(&[("inventory/other.yaml", "")]));
    let cache = one.beside("deep/in/cache");
    fetch(file_url(&one.publish(), cache.clone())).await.expect("one");
    let snapshot = fetch(file_url(&other.publish(), cache)).await.expect("other");
    assert_eq!(paths(&snapshot), ["other.yaml"]);

    let mine = one.path();
    let (error, _) = failure(fetch(file_url(&one.beside("remote.git"), mine.clone())).await);
    assert!(matches!(error, SourceError::CacheOccupied { .. }), "{error:?}");
    assert!(mine.join(SITE.0).exists());
}

#[tokio::test]
async fn packs_do_not_pile_up() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let cache = repo.beside("cache");
    let mut source = Source::open(file_url(&bare, cache.clone())).expect("it opens");
    source.fetch(None).await.expect("first");
    // The real ones would take 500 pushes; what counts is their number.
    for count in 0..500 {
        fs::write(cache.join(format!("objects/pack/pack-{count:040}.pack")), "").expect("writable");
    }
    repo.commit("second");
    repo.push();
    source.fetch(None).await.expect("second");
    let packs = fs::read_dir(cache.join("objects/pack")).expect("readable").count();
    assert!(packs < 5, "{packs} files");
}

#[tokio::test]
async fn no_repository_at_the_url() {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    let (error, text) = failure(fetch(file_url(&folder.path().join("no"), folder.path().join("cache"))).await);
    assert!(matches!(error, SourceError::NotARepository { .. } | SourceError::Unreachable { .. }), "{error:?}");
    assert!(text.contains("file://"), "{text}");
}

#[tokio::test]
async fn a_cache_that_cannot_be_made() {
    let repo = GitRepo::with(&[SITE]);
    let file = repo.beside("file");
    fs::write(&file, "").expect("writable");
    let (error, text) = failure(fetch(file_url(&repo.publish(), file.join("cache"))).await);
    assert!(text.contains("/file"), "{error:?}: {text}");
}
