//! What goes wrong around the controller, and that the edge goes on.

use bascule::core::status::{EdgeState, StatusDto};
use serde_json::json;

use super::client::Client;
use super::world::{DOMAIN, World, backend};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::port::ReservedPort;

/// A world with one service at two sites, at its first commit.
async fn two_sites() -> (World, HttpBackend, HttpBackend, String) {
    let mut world = World::new().await;
    let (dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    world.write_service("api", DOMAIN);
    world.write_backend("api", &dijon);
    world.write_backend("api", &thory);
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    (world, dijon, thory, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_commit_is_refused_by_file_and_line_and_a_mended_one_clears_it() {
    let (mut world, _dijon, _thory, good) = two_sites().await;
    world.kill();
    let repository = world.path("remote.git").display().to_string();
    world.start_with(&repository, "30s", &["--resync", "1s", "--strict"]);
    world.wait_for_revision(&good).await;
    world.write("backends/bad.yaml", "service: api\nname: bad\nsite: dijno\naddr: 127.0.1.9\nport: 80\n");
    world.commit_and_push("Misspell a site");
    let status = world.wait_for("the fault", |status| !status.faults.is_empty()).await;
    assert_eq!(status.revision.expect("served").id, good, "the last good revision stays");
    let fault = &status.faults[0];
    assert_eq!(fault.scope, "inventory");
    assert_eq!(fault.details, ["inventory/backends/bad.yaml:3:7: error[unknown-site]: no site is named `dijno`"]);
    assert!(world.ask().await.is_ok());
    let (succeeded, text) = world.status_text();
    assert!(succeeded && text.contains("inventory/backends/bad.yaml:3:7: error[unknown-site]"), "{text}");

    // A source that cannot be read for a while does not make anybody forget what is wrong with its newest revision.
    std::fs::rename(world.path("remote.git"), world.path("away.git")).expect("the repository is moved");
    let scopes = |status: &StatusDto| status.faults.iter().map(|fault| fault.scope.clone()).collect::<Vec<_>>();
    world.wait_for("both faults", |status| scopes(status) == ["source", "inventory"]).await;
    std::fs::rename(world.path("away.git"), world.path("remote.git")).expect("the repository is moved back");
    world.wait_for("the first fault", |status| scopes(status) == ["inventory"]).await;

    world.remove("backends/bad.yaml");
    let mended = world.commit_and_push("Mend it");
    let status = world.wait_for_revision(&mended).await;
    assert_eq!(status.faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_branch_is_followed_and_said() {
    let (world, _dijon, _thory, first) = two_sites().await;
    world.git(&[
        "-c",
        "user.name=T",
        "-c",
        "user.email=t@example.org",
        "commit",
        "--quiet",
        "--amend",
        "-m",
        "Rewritten",
    ]);
    let second = world.git(&["rev-parse", "HEAD"]);
    assert_ne!(first, second);
    world.push();
    world.wait_for_revision(&second).await;
    assert!(world.log().contains("force-push"), "a rewrite is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_out_a_site_is_held_until_a_commit_says_that_it_is_meant() {
    let (mut world, _dijon, _thory, _) = two_sites().await;
    let more = backend("api-thory-2", 2, 2).await;
    world.write_backend("api", &more);
    let good = world.commit_and_push("Add a backend");
    world.wait_for_revision(&good).await;
    world.remove("backends/api-thory-1.yaml");
    world.remove("backends/api-thory-2.yaml");
    world.commit_and_push("Leave thory");
    let status = world.wait_for("the hold", |status| !status.faults.is_empty()).await;
    let fault = status.faults[0].message.clone();
    assert!(fault.contains("all of site thory") && fault.contains("remove=2'"), "{fault}");

    // It is held over a restart, and by a commit that allows too little.
    world.kill();
    world.start();
    let held = world.commit_and_push("Allow one\n\nBascule-Allow: remove=1");
    let is_held = |status: &StatusDto| status.faults.iter().any(|fault| fault.message.contains(&held[..12]));
    let status = world.wait_for("the next hold", is_held).await;
    assert!(status.faults[0].message.contains("Bascule-Allow allows 1, and these are 2"), "{:?}", status.faults);
    assert_eq!(status.revision.expect("served").id, good);
    assert_eq!(status.services[0].backends.len(), 3);

    // The commit that allows it need not be the newest when it is read.
    world.commit("Allow it\n\nBascule-Allow: remove=2");
    let allowed = world.commit_and_push("Something else");
    let status = world.wait_for_revision(&allowed).await;
    assert_eq!((status.faults, status.services[0].backends.len()), (Vec::new(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_inventory_and_a_vanished_branch_change_nothing() {
    let (world, _dijon, _thory, good) = two_sites().await;
    for file in ["services/api.yaml", "backends/api-dijon-1.yaml", "backends/api-thory-1.yaml"] {
        world.remove(file);
    }
    world.commit_and_push("Remove everything");
    let status = world.wait_for("the refusal", |status| !status.faults.is_empty()).await;
    assert!(status.faults[0].message.contains("it takes out 1 of 1 services, 2 of 2 backends"), "{:?}", status.faults);
    world.git(&["push", "--quiet", "origin", "main:elsewhere"]);
    std::fs::remove_file(world.path("remote.git/refs/heads/main")).expect("the branch is removed");
    let status =
        world.wait_for("the missing branch", |status| status.faults.iter().any(|fault| fault.scope == "source")).await;
    assert!(status.faults[0].message.contains("elsewhere"), "the branches there are: {:?}", status.faults);
    assert_eq!(status.revision.expect("served").id, good);
    assert!(world.ask().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_backend_leaves_rotation_and_comes_back() {
    let (world, dijon, thory, _) = two_sites().await;
    world.wait_for("both up", |status| status.services[0].backends.iter().all(|backend| backend.verdict == "up")).await;
    let client = Client::start(world.edge_port());
    dijon.behave(Behaviour::Status(503));
    world
        .wait_for("dijon out", |status| {
            !status.services[0].backends[0].in_rotation && status.edges[0].state == EdgeState::InSync
        })
        .await;
    dijon.behave(Behaviour::Ok);
    world.wait_for("dijon in", |status| status.services[0].serving == "full").await;
    world.wait_for_answer("api-dijon-1").await;
    let seen = client.stop().await;
    assert_eq!(seen.failures, Vec::<String>::new());

    dijon.behave(Behaviour::Status(503));
    thory.behave(Behaviour::Status(503));
    let status = world.wait_for("all down", |status| status.services[0].serving == "all_down").await;
    assert!(status.services[0].backends.iter().all(|backend| backend.in_rotation), "all are tried");
    assert!(status.faults.iter().any(|fault| fault.scope == "service api"), "{:?}", status.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_does_not_take_out_the_only_backend() {
    let mut world = World::new().await;
    let dijon = backend("api-dijon-1", 1, 1).await;
    // Probed rarely: what is looked at is what Caddy does by itself.
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n"));
    world.write_backend("api", &dijon);
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    assert!(world.ask().await.is_ok());
    dijon.behave(Behaviour::Close);
    assert!(world.ask().await.is_err(), "it breaks every connection");
    dijon.behave(Behaviour::Ok);
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"), "there is nobody else to ask");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_was_restarted_empty_or_edited_is_repaired() {
    let (mut world, _dijon, _thory, _) = two_sites().await;
    world.caddy.kill9();
    world.wait_for("the fault", |status| status.edges[0].state == EdgeState::Retrying).await;
    world.caddy.start_again().await;
    world
        .wait_for("the repair", |status| status.edges[0].state == EdgeState::InSync && status.edges[0].drifts >= 1)
        .await;
    assert!(world.ask().await.is_ok());

    world
        .caddy
        .access()
        .write_apps(&json!({"http": {"servers": {"hand": {"listen": ["127.0.0.1:0"], "routes": []}}}}))
        .await;
    world.wait_for("the second repair", |status| status.edges[0].drifts >= 2).await;
    world.wait_for("sync", |status| status.edges[0].state == EdgeState::InSync).await;
    assert!(world.ask().await.is_ok());
    let log = world.log();
    for cause in ["restarted without one", "changed by hand, or by another controller"] {
        assert!(log.contains(cause), "{cause:?} is not in the log");
    }
}

/// Every fetch is a plan, and these come more often than the edge is to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_looked_at_whatever_is_planned_meanwhile() {
    let (mut world, _dijon, _thory, _) = two_sites().await;
    world.kill();
    let repository = world.path("remote.git").display().to_string();
    world.start_with(&repository, "100ms", &["--resync", "2s"]);
    world.wait_for("sync", |status| status.edges[0].state == EdgeState::InSync).await;
    world.caddy.access().write_apps(&json!({})).await;
    world.wait_for("the repair", |status| status.edges[0].drifts >= 1).await;
    assert!(world.ask().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_somebody_else_writes_again_and_again_has_a_second_writer() {
    let (world, _dijon, _thory, _) = two_sites().await;
    let is_said = |status: &StatusDto| status.faults.iter().any(|fault| fault.message.starts_with("a second writer"));
    let theirs = json!({"http": {"servers": {"theirs": {"listen": ["127.0.0.1:0"], "routes": []}}}});
    let mut repairs = 0;
    loop {
        world.caddy.access().write_apps(&theirs).await;
        let status = world.wait_for("the repair", |status| status.edges[0].drifts > repairs).await;
        if is_said(&status) {
            break;
        }
        repairs = status.edges[0].drifts;
        assert!(repairs < 10, "{:?}", status.faults);
    }
    world.wait_for("the end of it", |status| !is_said(status)).await;
    assert!(world.ask().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_revision_nothing_is_said_to_stay() {
    let mut world = World::new().await;
    world.write("sites/bad.yaml", "name: bad\nsubnet: []\n");
    world.commit_and_push("Misspell a key");
    world.start();
    let status = world.wait_for("the fault", |status| !status.faults.is_empty()).await;
    assert!(status.faults[0].message.ends_with("; nothing is served yet"), "{:?}", status.faults);
    let log = world.log();
    let line = log.lines().find(|line| line.contains("revision refused")).expect("it is logged");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["message"], "revision refused; nothing is served yet");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("[missing-key]")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_stalls_and_the_last_good_stays() {
    let (world, _dijon, _thory, _) = two_sites().await;
    let taken = ReservedPort::take();
    let _listener = std::net::TcpListener::bind(("127.0.0.1", taken.get())).expect("the port is free");
    world.write_edge(taken.get());
    world.commit_and_push("Listen on a taken port");
    let status = world.wait_for("the stall", |status| status.edges[0].state == EdgeState::Stalled).await;
    assert!(
        status.faults.iter().any(|fault| fault.scope == "edge ovh" && fault.message.contains("address already in use")),
        "{:?}",
        status.faults
    );
    assert!(world.ask().await.is_ok(), "the last good configuration stays");
    let pushes = status.edges[0].pushes;

    world.write_edge(world.edge_port());
    let mended = world.commit_and_push("Listen where it was");
    let status = world.wait_for_revision(&mended).await;
    assert_eq!(status.faults, []);
    assert!(status.edges[0].pushes <= pushes + 1, "a refused configuration is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_it_serves_and_ends_on_sigterm() {
    let mut world = World::new().await;
    world.start();
    crate::support::wait::wait_until_equal(Some(200), super::world::PATIENCE, || world.api("/healthz")).await;
    assert_eq!(world.api("/readyz").await, Some(503), "nothing has been pushed yet");
    let dijon = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &dijon);
    let id = world.commit_and_push("Declare a service");
    world.wait_for_revision(&id).await;
    assert_eq!(world.api("/readyz").await, Some(200));
    assert!(world.terminate().await, "SIGTERM is a success");
    for line in world.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("every line of the log is JSON");
        assert_ne!(line["level"], "ERROR", "{line}");
    }
    assert!(world.ask().await.is_ok(), "Caddy goes on");
}
