//! What people write for a source.

use bascule::git::{Credentials, Location, SourceError};

use super::{SITE, local};
use crate::support::git_repo::GitRepo;

#[test]
fn kinds_are_told_apart() {
    let repo = GitRepo::with(&[SITE]);
    let bare = repo.publish();
    let parse = |text: &str| Location::parse(text).expect("it is a source");
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    assert_eq!(parse(&path(&repo.path())), Location::Local(repo.path()));
    assert_eq!(parse(&path(&bare)), Location::Local(bare.clone()));
    let folder = repo.beside("plain");
    std::fs::create_dir(&folder).expect("a folder");
    assert_eq!(parse(&path(&folder)), Location::Directory(folder.clone()));
    assert_eq!(parse(&path(&folder)).watched_path(), Some(folder));
    for url in [
        "https://example.org/inventory.git",
        "http://example.org/inventory.git",
        "ssh://git@example.org:2222/inventory.git",
        "git@example.org:inventory.git",
        "example.org:team/inventory",
    ] {
        assert_eq!(parse(url), Location::Remote(url.to_owned()));
        assert_eq!(parse(url).watched_path(), None);
    }
    let file = "file:///srv/inv%20entory.git";
    assert_eq!(parse(file), Location::Remote(file.to_owned()));
    assert_eq!(parse(file).watched_path(), Some("/srv/inv entory.git".into()));
}

#[test]
fn a_relative_path_is_made_absolute() {
    let here = std::env::current_dir().expect("a folder");
    // The folder of the tests is this program's own repository.
    for text in [".", "./", "././"] {
        let location = Location::parse(text).expect("it is a source");
        assert_eq!(location.watched_path(), Some(here.clone()), "{text}");
    }
}

#[test]
fn a_folder_inside_a_repository_is_refused_with_the_way_to_name_it() {
    let repo = GitRepo::with(&[SITE]);
    let link = repo.beside("link");
    let folder = repo.path().join("inventory");
    std::os::unix::fs::symlink(&folder, &link).expect("a link");
    for place in [folder, repo.path().join("inventory/sites"), link] {
        let error = Location::parse(place.to_str().expect("UTF-8")).expect_err("it is no source");
        let SourceError::InsideRepository { root, below, .. } = &error else { panic!("{error:?}") };
        assert_eq!(root.join(below), place.canonicalize().expect("it is there"));
        let cure = format!("Use `--repo {} --path {}`", repo.path().display(), below.display());
        assert!(error.to_string().contains(&cure), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_cannot_be_opened_is_not_taken_for_a_plain_folder() {
    let repo = GitRepo::with(&[SITE]);
    std::fs::write(repo.path().join(".git/config"), "[core]\n\trepositoryformatversion = 99\n").expect("writable");
    let location = Location::parse(repo.path().to_str().expect("UTF-8")).expect("it is a repository");
    assert_eq!(location, Location::Local(repo.path()));
    let mut settings = local(&repo.path());
    settings.location = location;
    let (_, text) = super::failure(super::fetch(settings).await);
    assert!(text.contains("is not a git repository that can be read"), "{text}");
}

#[test]
fn what_is_no_source_says_what_it_takes() {
    let file = tempfile::NamedTempFile::new().expect("a temp file can be made");
    let file = file.path().to_str().expect("UTF-8").to_owned();
    for (text, reason) in [
        ("ftp://example.org/x", "`ftp` is not a way to fetch"),
        ("git://example.org/x", "`git` is not a way to fetch"),
        ("https://", "nothing follows the scheme"),
        ("./nowhere", "no such folder"),
        ("./no:where", "no such folder"),
        ("", "no such folder"),
        (&*file, "it is a file"),
    ] {
        let error = Location::parse(text).expect_err("it is no source");
        assert!(matches!(error, SourceError::NotALocation { .. }));
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("It takes a URL"), "{text}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    for url in [
        "https://someone:hunter2@example.org/x.git?private_token=hunter2",
        "ssh://git:hunter2@example.org/x.git",
        "http://hunter2@example.org:8080/x.git",
    ] {
        let location = Location::parse(url).expect("it is a source");
        let mut settings = local(std::path::Path::new("/nonexistent"));
        settings.location = location.clone();
        settings.credentials = Credentials {
            password: Some("hunter2".to_owned()),
            ssh_passphrase: Some("hunter2".to_owned()),
            ..Credentials::default()
        };
        let shown = format!("{location} {location:?} {settings:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("example.org"), "{shown}");
    }
    let error = Location::parse("ftp://someone:hunter2@example.org/x").expect_err("it is no source").to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_clone_says_what_it_is_a_clone_of() {
    let repo = GitRepo::with(&[SITE]);
    let address = |location: &str| Location::parse(location).expect("it is a source").remote_address();
    let place = repo.path().to_str().expect("UTF-8").to_owned();
    assert_eq!(address(&place), None);
    repo.git(&["remote", "add", "origin", "git@github.com:you/infra.git"]);
    assert_eq!(address(&place).as_deref(), Some("git@github.com:you/infra.git"));
    assert_eq!(address("https://example.org/you/infra.git").as_deref(), Some("https://example.org/you/infra.git"));
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(address(folder.path().to_str().expect("UTF-8")), None);
}
