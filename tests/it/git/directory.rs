//! Plain folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bascule::core::model::Limits;
use bascule::git::{Location, Moved, Source, SourceError, SourceSettings};
use tempfile::TempDir;

use super::{failure, fetch, paths, settings};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temp dir can be made");
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    folder
}

fn write(folder: &Path, path: &str, text: &str) {
    let place = folder.join(path);
    fs::create_dir_all(place.parent().expect("it has one")).expect("writable");
    fs::write(place, text).expect("writable");
}

fn directory(path: &Path) -> SourceSettings {
    let mut settings = settings(Location::Directory(path.to_owned()), PathBuf::new());
    settings.path = String::new();
    settings
}

#[tokio::test]
async fn the_revision_is_the_content() {
    let folder = folder(&[("sites/dijon.yaml", "name: dijon\n"), ("README.md", "")]);
    let mut source = Source::open(directory(folder.path())).expect("it opens");
    let first = source.fetch(None).await.expect("first");
    assert_eq!((first.moved, paths(&first)), (Moved::First, vec!["sites/dijon.yaml"]));
    assert!(first.info.id.as_str().starts_with("dir-"), "{}", first.info.id);
    write(folder.path(), "README.md", "not read");
    let same = source.fetch(Some(first.info.id.clone())).await.expect("same");
    assert_eq!((same.moved, same.files, &same.info.id), (Moved::Unchanged, None, &first.info.id));
    write(folder.path(), "sites/dijon.yaml", "name: Dijon\n");
    let second = source.fetch(Some(first.info.id.clone())).await.expect("second");
    assert_eq!(second.moved, Moved::Forward);
    assert_ne!(second.info.id, first.info.id);
    fs::rename(folder.path().join("sites"), folder.path().join("places")).expect("it can be renamed");
    let third = source.fetch(Some(second.info.id.clone())).await.expect("third");
    assert_ne!(third.info.id, second.info.id, "paths are part of it");
}

#[tokio::test]
async fn links_are_followed_inside_only() {
    let outside = folder(&[("secret.yaml", "outside\n")]);
    let folder = folder(&[("..data/sites.yaml", "mounted\n"), (".hidden.yaml", ""), ("sites/a.yaml", "a\n")]);
    let at = |name: &str| folder.path().join(name);
    symlink("..data/sites.yaml", at("sites.yaml")).expect("a link can be made");
    symlink(outside.path().join("secret.yaml"), at("secret.yaml")).expect("a link can be made");
    symlink(outside.path(), at("elsewhere")).expect("a link can be made");
    symlink(".", at("loop")).expect("a link can be made");
    symlink("nowhere.yaml", at("dangling.yaml")).expect("a link can be made");
    symlink("sites", at("folder.yaml")).expect("a link can be made");
    let snapshot = fetch(directory(folder.path())).await.expect("it can be read");
    assert_eq!(paths(&snapshot), ["sites.yaml", "sites/a.yaml"]);
}

#[tokio::test]
async fn limits_hold_here_too() {
    let folder = folder(&[("a.yaml", "12345"), ("b/c.yaml", "123")]);
    let check = async |limits, expected: (&str, usize)| {
        let mut settings = directory(folder.path());
        settings.limits = limits;
        let (error, _) = failure(fetch(settings).await);
        assert!(
            matches!(&error, SourceError::LimitExceeded { path, limit, .. } if (&**path, *limit) == expected),
            "{error:?} instead of {expected:?}"
        );
    };
    let limits = Limits { file_bytes: 5, files: 2, total_bytes: 8, folder_depth: 1 };
    check(Limits { file_bytes: 4, ..limits }, ("a.yaml", 4)).await;
    check(Limits { files: 1, ..limits }, ("b/c.yaml", 1)).await;
    check(Limits { total_bytes: 7, ..limits }, ("b/c.yaml", 7)).await;
    check(Limits { folder_depth: 0, ..limits }, ("b", 0)).await;
}

#[tokio::test]
async fn missing_and_empty() {
    let folder = folder(&[("inventory/README.md", "")]);
    let mut settings = directory(folder.path());
    settings.path = "inventroy".to_owned();
    let (error, text) = failure(fetch(settings).await);
    assert!(matches!(error, SourceError::PathMissing { .. }), "{error:?}");
    assert!(text.contains("did you mean `inventory`"), "{text}");
    let mut settings = directory(&folder.path().join("inventory"));
    settings.path = "..".to_owned();
    assert!(matches!(failure(fetch(settings).await).0, SourceError::PathMissing { .. }), "not out of the folder");
    assert!(matches!(failure(fetch(directory(folder.path())).await).0, SourceError::NoYaml { .. }));
    assert!(matches!(failure(fetch(directory(&folder.path().join("no"))).await).0, SourceError::Unreadable { .. }));
}
