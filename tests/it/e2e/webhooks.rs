//! A commit on a remote that is hardly ever polled, served because the forge says so.

use reqwest::{Client, StatusCode};

use super::program::bascule;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::git_http::GitHttp;
use crate::support::wait::wait_for;
use crate::webhooks::{SECRET, headers};

async fn deliver(world: &World, forge: &str, body: &str, delivery: &str) -> StatusCode {
    let client = Client::builder().no_proxy().build().expect("a client");
    let mut request = client.post(world.api_url(&format!("/v1/webhooks/{forge}"))).body(body.to_owned());
    for (name, value) in headers(forge, body.as_bytes(), delivery).await {
        request = request.header(name, value);
    }
    // What orders may not have: it comes from elsewhere, through a proxy.
    request.header("x-forwarded-for", "203.0.113.9").send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_served_as_soon_as_the_forge_tells() {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    let first = world.commit_and_push("Declare a service");
    std::fs::write(world.path("secret"), format!("{SECRET}\n")).expect("a file is written");
    let server = GitHttp::start(world.path(""), None).await;
    let repository = format!("http://127.0.0.1:{}/remote.git", server.port());
    let secret = world.path("secret").display().to_string();
    world.start_with(&repository, "1h", &["--log", "trace", "--webhook-secret-file", &secret]);
    world.wait_for_revision(&first).await;
    for forge in ["github", "gitlab", "gitea"] {
        let id = world.commit_and_push(&format!("Told by {forge}"));
        // The payload claims another commit, and nobody believes it.
        let body = format!(r#"{{"ref": "refs/heads/main", "after": "{first}", "deleted": true}}"#);
        assert_eq!(deliver(&world, forge, &body, &id).await, StatusCode::ACCEPTED, "{forge}");
        world.wait_for_revision(&id).await;
        assert_eq!(deliver(&world, forge, &body, &id).await, StatusCode::OK, "{forge}");
    }
    let wrong = Client::builder().no_proxy().build().expect("a client");
    let wrong = wrong.post(world.api_url("/v1/webhooks/gitlab")).header("content-type", "application/json");
    let wrong = wrong.header("x-gitlab-token", "another-horse-battery").body("{}").send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    wait_for("a line in the log", PATIENCE, || {
        std::future::ready(world.log().contains("webhook denied").then_some(()))
    })
    .await;
    let log = world.log();
    let denied = log.lines().find(|line| line.contains("webhook denied")).expect("a line");
    assert!(denied.contains(r#""level":"INFO""#) && denied.contains("127.0.0.1:"), "{denied}");
    assert!(!log.contains(SECRET) && !log.contains("another-horse"), "the log has a secret");
}

#[test]
fn a_secret_that_can_be_guessed_or_not_be_sent_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(bascule(folder.path(), &["init"]).code, Some(0));
    for (secret, part) in [
        ("short", "the webhook secret has 5 characters"),
        ("correct horse battery staple", "the webhook secret has spaces"),
        ("\n", "--webhook-secret-file: `secret` is empty"),
    ] {
        std::fs::write(folder.path().join("secret"), secret).expect("a file is written");
        let ran = bascule(folder.path(), &["run", "--listen", "127.0.0.1:0", "--webhook-secret-file", "secret"]);
        assert_eq!(ran.code, Some(1), "{secret:?}");
        assert!(ran.stderr.contains(part), "{secret:?}: {}", ran.stderr);
        assert!(secret.trim().is_empty() || !ran.stderr.contains(secret), "{}", ran.stderr);
    }
}
