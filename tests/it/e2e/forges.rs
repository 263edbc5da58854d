//! A controller that tells a forge how commits stand.

use bascule::core::status::StatusDto;
use bascule::forge::ForgeKind;

use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::forge_server::{ForgeServer, Mood, REPOSITORY, Set, TOKEN};
use crate::support::http::HttpBackend;
use crate::support::port::ReservedPort;
use crate::support::wait::wait_for;

const CONTEXT: &str = "bascule/applied (ovh)";

/// A world with a service, and the forge that its commits are at.
async fn world(kind: ForgeKind) -> (World, ForgeServer, HttpBackend) {
    let world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    std::fs::write(world.path("token"), format!("{TOKEN}\n")).expect("a file is written");
    (world, ForgeServer::start(kind).await, only)
}

/// Starts the controller with everything that can be logged.
fn start(world: &mut World, server: &ForgeServer, kind: ForgeKind) {
    let (repository, token) =
        (world.path("remote.git").display().to_string(), world.path("token").display().to_string());
    let forge = ["--forge", kind.name(), "--forge-repository", REPOSITORY, "--forge-url", &server.url()];
    let more = ["--forge-token-file", &token, "--resync", "1s", "--log", "trace"];
    world.start_with(&repository, "30s", &[&forge[..], &more].concat());
}

async fn wait_for_status(server: &ForgeServer, sha: &str, state: &str) -> Set {
    let found = || server.statuses().into_iter().find(|it| it.sha == sha && it.state == state);
    wait_for(&format!("{state} of {sha}"), PATIENCE, || std::future::ready(found())).await
}

fn assert_kept(world: &World, status: &StatusDto) {
    let (_, text) = world.status_text();
    for (place, text) in [("log", world.log()), ("status", text), ("API", format!("{status:?}"))] {
        assert!(!text.contains(TOKEN), "the {place} has the token");
    }
    let state = std::fs::read(world.path("bascule.db")).expect("the state file");
    assert!(!state.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "the state file has the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_commit_is_told_once_how_it_stands() {
    for (kind, failure) in
        [(ForgeKind::Github, "failure"), (ForgeKind::Gitlab, "failed"), (ForgeKind::Gitea, "failure")]
    {
        let (mut world, server, _only) = world(kind).await;
        let first = world.commit_and_push("Declare a service");
        start(&mut world, &server, kind);
        let set = wait_for_status(&server, &first, "success").await;
        assert_eq!((set.context.as_str(), set.description.as_str()), (CONTEXT, "edge ovh runs it"));

        world.write("backends/bad.yaml", "service: api\nname: bad\nsite: dijno\naddr: 127.0.1.9\nport: 80\n");
        let bad = world.commit_and_push("Misspell a site");
        let set = wait_for_status(&server, &bad, failure).await;
        assert_eq!(set.context, CONTEXT);
        let words =
            "not all of it is served: inventory/backends/bad.yaml:3:7: error[unknown-site]: no site is named `dijno`";
        assert_eq!(set.description, words);

        // A start anew posts nothing of it again.
        assert!(world.terminate().await);
        start(&mut world, &server, kind);
        let is_kept = |status: &StatusDto| status.ready && status.quarantine.len() == 1;
        world.wait_for("the service to be kept", is_kept).await;
        world.remove("backends/bad.yaml");
        let taken = ReservedPort::take();
        let listener = std::net::TcpListener::bind(("127.0.0.1", taken.get())).expect("the port is free");
        world.write_edge(taken.get());
        let rejected = world.commit_and_push("Listen on a taken port");
        let set = wait_for_status(&server, &rejected, failure).await;
        assert!(set.description.starts_with("Caddy rejected the configuration"), "{set:?}");
        drop(listener);

        world.write_edge(world.edge_port());
        let mended = world.commit_and_push("Listen where it was");
        wait_for_status(&server, &mended, "success").await;
        let told: Vec<_> = server.statuses().into_iter().map(|it| it.sha).collect();
        assert_eq!(told, [first, bad, rejected, mended], "{kind}: each once");
        let status = world.wait_for("all told", |it| it.forge.as_ref().is_some_and(|it| it.state == "in_sync")).await;
        assert_eq!((status.faults.len(), status.forge.as_ref().map(|it| it.posted)), (0, Some(2)));
        let (_, text) = world.status_text();
        assert!(text.contains(&format!("forge {kind}  in sync  {REPOSITORY}  2 statuses posted")), "{text}");
        assert_kept(&world, &status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_hangs_or_is_away_delays_nothing_and_is_told_when_it_is_back() {
    let kind = ForgeKind::Github;
    let (mut world, mut server, _only) = world(kind).await;
    server.behave(Mood::Hang);
    let first = world.commit_and_push("Declare a service");
    start(&mut world, &server, kind);
    world.wait_for_revision(&first).await;
    wait_for("a request that hangs", PATIENCE, || std::future::ready((!server.requests().is_empty()).then_some(())))
        .await;
    world.wait_for_answer("api-dijon-1").await;
    // While it hangs, the next revision is served.
    world.write_service("www", "www.acecinema.fr");
    let more = backend("www-dijon-1", 1, 2).await;
    world.write_backend("www", &more);
    let second = world.commit_and_push("Declare another service");
    world.wait_for_revision(&second).await;
    assert_eq!(server.statuses(), []);
    let waiting = world.status().await.expect("a status").forge.expect("a forge");
    assert_eq!((waiting.waiting, waiting.posted), (1, 0), "only the newest is waited with");

    server.stop().await;
    let status = world.wait_for("the fault", |status| status.faults.iter().any(|it| it.scope == "forge")).await;
    assert_eq!(status.forge.as_ref().map(|it| it.state.as_str()), Some("failing"));
    assert!(status.events.iter().any(|it| it.subject == "forge" && it.to == "down"), "{:?}", status.events);
    assert_eq!(status.edges[0].state, bascule::core::status::EdgeState::InSync);

    server.behave(Mood::Well);
    server.start_again().await;
    wait_for_status(&server, &second, "success").await;
    let is_well = |status: &StatusDto| {
        status.faults.is_empty() && status.events.iter().any(|it| it.subject == "forge" && it.to == "up")
    };
    let status = world.wait_for("the end of the fault", is_well).await;
    assert_eq!(server.statuses().len(), 1, "what was served for a moment is not told");
    assert_kept(&world, &status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_a_fault_with_its_cure() {
    let kind = ForgeKind::Gitea;
    let (mut world, server, _only) = world(kind).await;
    server.behave(Mood::Status(403));
    let id = world.commit_and_push("Declare a service");
    start(&mut world, &server, kind);
    world.wait_for_revision(&id).await;
    let status = world.wait_for("the fault", |status| !status.faults.is_empty()).await;
    let fault = &status.faults[0];
    assert!(fault.scope == "forge" && fault.message.contains("`write:repository`"), "{fault:?}");
    assert_kept(&world, &status);
}
