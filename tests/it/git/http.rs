//! Remotes over http with a real `git http-backend`, and over https with a real Caddy in front of it.

use std::path::Path;

use bascule::core::model::Revision;
use bascule::git::{Credentials, Location, Moved, Source, SourceError, SourceSettings};
use serde_json::json;

use super::{SITE, failure, fetch, full_text, paths, settings};
use crate::support::caddy::{Boot, Caddy};
use crate::support::git_http::{GitHttp, Redirect};
use crate::support::git_repo::{GitRepo, git};
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

const PASSWORD: &str = "hunter2-of-the-test";

fn http(port: u16, cache: &Path) -> SourceSettings {
    settings(Location::Remote(format!("http://127.0.0.1:{port}/remote.git")), cache.to_owned())
}

fn password(text: &str) -> Credentials {
    Credentials { username: Some("ci".to_owned()), password: Some(text.to_owned()), ..Credentials::default() }
}

#[tokio::test]
async fn fetch_and_fetch_again() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), None).await;
    let mut source = Source::open(http(server.port(), &repo.beside("cache"))).expect("it opens");
    let first = source.fetch(None).await.expect("first");
    assert_eq!(paths(&first), ["sites/dijon.yaml"]);
    let second = repo.commit_files(&[("inventory/sites/thory.yaml", "name: thory\n")], "second");
    repo.push();
    let forward = source.fetch(Some(first.info.id)).await.expect("second");
    assert_eq!((forward.moved, forward.info.id.as_str()), (Moved::Forward, &*second));
    let same = source.fetch(Some(Revision::new(second))).await.expect("same");
    assert_eq!((same.moved, same.files), (Moved::Unchanged, None));
}

// libgit2 copies all branches from a `file` URL, so this is shown here.
#[tokio::test]
async fn only_the_one_branch_is_fetched() {
    let repo = GitRepo::with(&[SITE]);
    repo.git(&["tag", "v1"]);
    repo.git(&["checkout", "--quiet", "-b", "other"]);
    let other = repo.commit_files(&[("other.yaml", "other\n")], "other");
    repo.publish();
    repo.git(&["push", "--quiet", "--tags", "origin"]);
    let server = GitHttp::start(repo.beside(""), None).await;
    fetch(http(server.port(), &repo.beside("cache"))).await.expect("it can be fetched");
    let cached = git(&repo.beside("cache"), &["cat-file", "--batch-all-objects", "--batch-check"]);
    assert!(!cached.contains(&other) && cached.contains("commit"), "{cached}");
    assert!(!git(&repo.beside("cache"), &["for-each-ref"]).contains("v1"));
}

#[tokio::test]
async fn the_right_password() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), Some(("ci", PASSWORD))).await;
    let mut settings = http(server.port(), &repo.beside("cache"));
    settings.credentials = password(PASSWORD);
    fetch(settings.clone()).await.expect("the password is right");
    settings.credentials.username = None;
    settings.location = Location::Remote(format!("http://ci@127.0.0.1:{}/remote.git", server.port()));
    fetch(settings).await.expect("the name in the URL is right");
}

#[tokio::test]
async fn a_wrong_password_is_shown_once_and_never_told() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), Some(("ci", "another"))).await;
    let mut settings = http(server.port(), &repo.beside("cache"));
    settings.credentials = password(PASSWORD);
    let (error, text) = failure(fetch(settings.clone()).await);
    assert!(matches!(error, SourceError::AuthRefused { .. }), "{error:?}");
    assert!(text.contains("the password did not open it"), "{text}");
    assert!(!format!("{text}{error:?}").contains(PASSWORD), "{text}{error:?}");
    assert!(server.refusals() <= 3, "{} refusals", server.refusals());

    settings.credentials = Credentials::default();
    let (error, text) = failure(fetch(settings.clone()).await);
    assert!(matches!(error, SourceError::AuthRefused { .. }) && text.contains("none that fit were given"), "{text}");

    settings.location = Location::Remote(format!("http://ci:{PASSWORD}@127.0.0.1:{}/remote.git", server.port()));
    let (error, text) = failure(fetch(settings).await);
    assert!(!format!("{text}{error:?}").contains(PASSWORD), "{text}{error:?}");
}

#[tokio::test]
async fn a_password_does_not_follow_a_redirect() {
    let repo = GitRepo::with(&[SITE]);
    for user in [String::new(), "ci@".to_owned(), format!("ci:{PASSWORD}@")] {
        let servers = Redirect::start().await;
        let mut settings = http(servers.port(), &repo.beside("cache"));
        settings.location = Location::Remote(format!("http://{user}127.0.0.1:{}/remote.git", servers.port()));
        settings.credentials = password(PASSWORD);
        let (error, text) = failure(fetch(settings).await);
        let shown = servers.shown();
        assert!(!shown.is_empty(), "the redirect is followed: {text}");
        assert_eq!(shown, vec![None; shown.len()], "and shows nothing");
        assert!(matches!(error, SourceError::AuthRefused { .. }) && text.contains("another server"), "{text}");
    }
}

#[tokio::test]
async fn no_such_repository() {
    let repo = GitRepo::with(&[SITE]);
    let server = GitHttp::start(repo.beside(""), None).await;
    let (error, text) = failure(fetch(http(server.port(), &repo.beside("cache"))).await);
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error:?}");
    assert!(text.contains("404"), "{text}");
}

#[tokio::test]
async fn https_trusts_the_given_authority_only() {
    let repo = GitRepo::with(&[SITE]);
    repo.publish();
    let server = GitHttp::start(repo.beside(""), Some(("ci", PASSWORD))).await;
    let (https, http) = (ReservedPort::take(), ReservedPort::take());
    let storage = repo.beside("caddy");
    let config = json!({
        "admin": {},
        "storage": { "module": "file_system", "root": storage },
        "apps": {
            "http": {
                "http_port": http.get(),
                "https_port": https.get(),
                "servers": { "git": {
                    "listen": [format!("127.0.0.1:{}", https.get())],
                    "automatic_https": { "disable_redirects": true },
                    "routes": [{
                        "match": [{ "host": ["localhost"] }],
                        "handle": [{
                            "handler": "reverse_proxy",
                            "upstreams": [{ "dial": format!("127.0.0.1:{}", server.port()) }],
                        }],
                    }],
                } },
            },
            "tls": { "automation": { "policies": [{ "issuers": [{ "module": "internal" }] }] } },
            "pki": { "certificate_authorities": { "local": { "install_trust": false } } },
        },
    });
    let _caddy = Caddy::start_with(Boot { config: Some(config), ..Boot::default() }).await;
    let url = format!("https://localhost:{}/remote.git", https.get());
    let mut settings = settings(Location::Remote(url), repo.beside("cache"));
    settings.credentials = password(PASSWORD);
    // The certificate is made after the start; until then the connection is cut.
    let (text, error) = wait_for("Caddy to have a certificate", SOON, async || match fetch(settings.clone()).await {
        Err(error @ SourceError::Certificate { .. }) => Some((full_text(&error), error)),
        Err(_) => None,
        Ok(_) => panic!("the certificate is not known"),
    })
    .await;
    assert!(text.contains("CA file"), "{error:?}");
    let root = storage.join("pki/authorities/local/root.crt");
    settings.credentials.ca_file = Some(root);
    assert_eq!(paths(&fetch(settings.clone()).await.expect("the authority is trusted")), ["sites/dijon.yaml"]);

    settings.location = Location::Remote(format!("https://127.0.0.1:{}/remote.git", https.get()));
    fetch(settings.clone()).await.expect_err("the certificate is of another name");
    settings.credentials.ca_file = Some(repo.beside("missing.pem"));
    assert!(matches!(Source::open(settings.clone()), Err(SourceError::CredentialFile { .. })));
    settings.credentials.ca_file = Some(repo.path().join(SITE.0));
    assert!(matches!(Source::open(settings), Err(SourceError::CaFile { .. })));
}
