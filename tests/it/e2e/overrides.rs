//! Overriding by hand: what it does to traffic, and what outlives what.

use std::time::Duration;

use bascule::core::status::{BackendDto, RelayState, StatusDto};
use bascule::store::Store;
use tokio::time::Instant;

use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::wait::wait_for;

/// Without an answer for so long, a backend is taken to be out: it would get every second of a hundred requests a second.
const OUT: Duration = Duration::from_millis(1500);
/// An override acts after two checks of 500 ms, and a moment for two cores that are shared.
const ACTS_MAX: Duration = Duration::from_secs(2);

/// A service with a backend at each site, all up, and an edge whose relay asks.
async fn two_sites() -> (World, [HttpBackend; 2]) {
    let mut world = World::new().await;
    let backends = [backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await];
    world.write_service("api", DOMAIN);
    for backend in &backends {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    wait_until_asked(&world).await;
    world.wait_for("both up", |status| backends_of(status).all(|backend| backend.verdict == "up")).await;
    for name in ["api-dijon-1", "api-thory-1"] {
        world.wait_for_answer(name).await;
    }
    (world, backends)
}

async fn wait_until_asked(world: &World) {
    world.wait_for("a relay that asks", |status| status.edges[0].relay == Some(RelayState::Asked)).await;
}

fn backends_of(status: &StatusDto) -> impl Iterator<Item = &BackendDto> {
    status.services.iter().flat_map(|service| &service.backends)
}

fn reason_of(status: &StatusDto, name: &str) -> String {
    let found = backends_of(status).find(|backend| backend.name == name);
    found.and_then(|backend| backend.reason.clone()).unwrap_or_default()
}

async fn pushes(world: &World) -> u64 {
    world.status().await.expect("a status").edges[0].pushes
}

/// Asks until a backend has been silent for [`OUT`]; returns how long after `since` it answered last. Every request must be
/// answered.
async fn last_answer(world: &World, name: &str, since: Instant) -> Duration {
    let mut last = since;
    while last.elapsed() < OUT {
        assert!(since.elapsed() < PATIENCE, "{name} still answers");
        if world.ask().await.expect("an answer") == name {
            last = Instant::now();
        }
    }
    last.duration_since(since)
}

/// Sets an override of a target for ten minutes, to be told what holds.
fn set(world: &World, action: &str, target: &str) -> String {
    world.run(&["override", action, target, "--for", "10m", "--reason", "disk swap"]).succeeded()
}

async fn takes_out_without_a_push(action: &str) {
    let (world, _backends) = two_sites().await;
    let before = pushes(&world).await;
    let said = set(&world, action, "api-dijon-1");
    let took = last_answer(&world, "api-dijon-1", Instant::now()).await;
    println!("{action}: the last request went there {took:?} after the answer to the order");
    assert!(took < ACTS_MAX, "{took:?}");
    assert_eq!(pushes(&world).await, before, "nothing is pushed");
    let status = world.status().await.expect("a status");
    let reason = reason_of(&status, "api-dijon-1");
    assert!(reason.starts_with(&format!("override: {action}, until ")), "{reason}");
    assert!(reason.ends_with("\"disk swap\" (by anna)"), "{reason}");
    assert!(said.starts_with("backend:api-dijon-1 ") && said.contains("(for 10m): disk swap"), "{said}");

    let cleared = world.run(&["override", "clear", "api-dijon-1"]).succeeded();
    let expected = format!("backend:api-dijon-1 is no longer overridden (was {action}, until ");
    assert!(cleared.starts_with(&expected), "{cleared}");
    world.wait_for_answer("api-dijon-1").await;
    assert_eq!(pushes(&world).await, before, "nothing is pushed");
    for line in ["override set", "override cleared"] {
        assert!(world.log().contains(line), "the log has no {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn down_takes_a_backend_out_within_a_second_and_without_a_push() {
    takes_out_without_a_push("down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_takes_a_backend_out_within_a_second_and_without_a_push() {
    takes_out_without_a_push("drain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drained_is_left_out_at_the_next_push() {
    let (world, backends) = two_sites().await;
    let dijon = backends[0].address().to_string();
    set(&world, "drain", "backend:api-dijon-1");
    world.wait_for("it out", |status| backends_of(status).any(|backend| !backend.in_rotation)).await;
    assert!(world.caddy.access().config().await.to_string().contains(&dijon), "it is out without a push");
    let added = backend("api-thory-2", 2, 2).await;
    world.write_backend("api", &added);
    let id = world.commit_and_push("Add a backend");
    world.wait_for_revision(&id).await;
    let config = world.caddy.access().config().await.to_string();
    assert!(config.contains(&added.address().to_string()) && !config.contains(&dijon), "{config}");
}

/// The probe wants a 201; clients take a 200 as well.
#[tokio::test(flavor = "multi_thread")]
async fn up_keeps_a_backend_in_that_probes_call_down() {
    let mut world = World::new().await;
    let (dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    thory.behave(Behaviour::Status(201));
    let health = "{ path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2, expect: { status: [201] } }";
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\nhealth: {health}\n"));
    for backend in [&dijon, &thory] {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    wait_until_asked(&world).await;
    world.wait_for("it down", |status| backends_of(status).any(|backend| backend.verdict == "down")).await;
    last_answer(&world, "api-dijon-1", Instant::now()).await;

    set(&world, "up", "api-dijon-1");
    world.wait_for_answer("api-dijon-1").await;
    let status = world.wait_for("it in", |status| backends_of(status).all(|backend| backend.in_rotation)).await;
    let reason = reason_of(&status, "api-dijon-1");
    assert!(reason.starts_with("override: up, until "), "{reason}");
    assert!(backends_of(&status).any(|backend| backend.verdict == "down"), "an override does not hide the verdict");
    world.run(&["override", "clear", "api-dijon-1"]).succeeded();
    last_answer(&world, "api-dijon-1", Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_all_its_backends_and_a_backends_own_override_wins() {
    let (world, _backends) = two_sites().await;
    let second = backend("api-dijon-2", 1, 2).await;
    world.write_backend("api", &second);
    let id = world.commit_and_push("Add a backend");
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-2").await;
    set(&world, "down", "site:dijon");
    for name in ["api-dijon-1", "api-dijon-2"] {
        last_answer(&world, name, Instant::now()).await;
    }
    let status = world.status().await.expect("a status");
    let reason = reason_of(&status, "api-dijon-2");
    assert!(reason.starts_with("override of site dijon: down, until "), "{reason}");
    set(&world, "up", "api-dijon-2");
    world.wait_for_answer("api-dijon-2").await;
    last_answer(&world, "api-dijon-1", Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_ends_by_itself() {
    let (mut world, _backends) = two_sites().await;
    world.run(&["override", "down", "api-dijon-1", "--for", "3s", "--reason", "disk swap"]).succeeded();
    let status = world.status().await.expect("a status");
    assert_eq!(status.overrides.len(), 1);
    assert!(status.overrides[0].remaining_seconds <= 3);
    world.wait_for("it out", |status| backends_of(status).any(|backend| !backend.in_rotation)).await;
    world.wait_for("it in", |status| backends_of(status).all(|backend| backend.in_rotation)).await;
    world.wait_for_answer("api-dijon-1").await;
    world.wait_for("none left", |status| status.overrides.is_empty()).await;
    wait_for("a line in the log", PATIENCE, || {
        std::future::ready(world.log().contains("override ended").then_some(()))
    })
    .await;
    assert!(world.terminate().await);
    let store = Store::open(&world.path("bascule.db")).expect("the state file opens");
    assert_eq!(store.overrides().await.expect("reads"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_was_answered_survives_a_kill() {
    let (mut world, _backends) = two_sites().await;
    set(&world, "down", "api-dijon-1");
    world.kill();
    world.start();
    // The first view with a plan has it already.
    let status = world.wait_for("a plan", |status| !status.services.is_empty()).await;
    let out: Vec<_> = backends_of(&status).filter(|it| !it.in_rotation).map(|it| it.name.as_str()).collect();
    assert_eq!(out, ["api-dijon-1"]);
    assert_eq!(status.overrides[0].by, "anna");
    last_answer(&world, "api-dijon-1", Instant::now()).await;
    // What was cleared stays cleared.
    world.run(&["override", "clear", "api-dijon-1"]).succeeded();
    world.kill();
    world.start();
    let status = world.wait_for("a plan", |status| !status.services.is_empty()).await;
    assert_eq!(status.overrides, []);
    world.wait_for_answer("api-dijon-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_leaves_the_inventory_does_no_harm() {
    let (world, _backends) = two_sites().await;
    set(&world, "down", "api-thory-1");
    world.remove("backends/api-thory-1.yaml");
    let id = world.commit_and_push("Remove a backend");
    world.wait_for_revision(&id).await;
    assert_eq!(world.ask().await.as_deref(), Ok("api-dijon-1"));
    let status = world.status().await.expect("a status");
    assert!(!status.overrides[0].declared);
    let (_, text) = world.status_text();
    assert!(text.contains("override backend:api-thory-1: down") && text.contains("not in the inventory"), "{text}");
    let listed = world.run(&["override", "list"]).succeeded();
    assert!(listed.contains("not in the inventory"), "{listed}");
    world.run(&["override", "clear", "api-thory-1"]).succeeded();
    assert_eq!(world.run(&["override", "list"]).succeeded(), "no override holds\n");
}

/// The links of a chain that believe nothing would try it, were it still in the configuration.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_gets_nothing_though_nothing_else_is_left() {
    let (world, backends) = two_sites().await;
    set(&world, "down", "site:dijon");
    let ran = world.run(&["override", "down", "site:thory", "--for", "10m", "--reason", "bad data"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "warning: service api has no backend left: its clients get an error\n");
    wait_for("an error", PATIENCE, || async { world.ask().await.err() }).await;
    let requests = || backends.each_ref().map(|backend| backend.requests_to("/"));
    let before = requests();
    for _ in 0..50 {
        let error = world.ask().await.expect_err("nothing may serve");
        assert!(error.contains("503"), "{error}");
    }
    assert_eq!(requests(), before);
    world.run(&["override", "clear", "site:dijon"]).succeeded();
    world.wait_for_answer("api-dijon-1").await;
    last_answer(&world, "api-thory-1", Instant::now()).await;
}
