//! What is asked of backends beside a path: traffic follows what the answers say.

use std::net::Ipv4Addr;

use bascule::core::status::StatusDto;

use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::grpc::{GrpcBackend, Health};
use crate::support::http::Behaviour;
use crate::support::wait::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn traffic_follows_grpc_health() {
    let mut world = World::new().await;
    let [dijon, thory] = [
        GrpcBackend::start("api-dijon-1", Ipv4Addr::new(127, 0, 1, 1), None).await,
        GrpcBackend::start("api-thory-1", Ipv4Addr::new(127, 0, 2, 1), None).await,
    ];
    let health = "health: { type: grpc, service: acecinema.v1.Tickets, interval: 200ms, rise: 1, fall: 2 }";
    let routing = "routing: { policy: priority, sites: [dijon, thory], failback: { after: 1s } }";
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n{routing}\n"));
    for backend in [&dijon, &thory] {
        world.write_backend_at("api", backend.name(), backend.address());
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-1").await;

    dijon.answer(Health::Tells(2));
    world.wait_for_answer("api-thory-1").await;
    let (_, text) = world.status_text();
    assert!(text.contains("answered NOT_SERVING"), "{text}");
    dijon.answer(Health::Tells(1));
    world.wait_for_answer("api-dijon-1").await;
    let seen = dijon.seen();
    assert!(seen.calls.len() >= 4, "{}", seen.calls.len());
    assert!(seen.calls.iter().all(|(_, message)| message.ends_with(b"acecinema.v1.Tickets")));
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_follows_each_of_several_probes() {
    let mut world = World::new().await;
    let [dijon, thory] = [backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await];
    // What the backends depend on, at the same port of each machine.
    let beside = GrpcBackend::start("beside", Ipv4Addr::new(127, 0, 1, 1), None).await;
    let port = beside.address().port();
    let thory_beside = std::net::TcpListener::bind((thory.ip(), port)).expect("the port is free there too");
    let routing = "routing: { policy: priority, sites: [dijon, thory], failback: { after: 1s } }";
    let write = |world: &World, list: &str, kind: &str| {
        let tries = format!("[{{ path: /health }}, {{ type: {kind}, port: {port} }}]");
        let health = format!("health: {{ {list}: {tries}, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }}");
        world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n{routing}\n"));
    };
    write(&world, "all", "tcp");
    for backend in [&dijon, &thory] {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-1").await;
    dijon.behave(Behaviour::Unwell);
    world.wait_for_answer("api-thory-1").await;
    let (_, text) = world.status_text();
    assert!(text.contains("GET /health: answered 503"), "{text}");
    dijon.behave(Behaviour::Ok);
    world.wait_for_answer("api-dijon-1").await;
    drop(beside);
    world.wait_for_answer("api-thory-1").await;
    let (_, text) = world.status_text();
    assert!(text.contains(&format!("TCP at port {port}: cannot connect")), "{text}");
    drop(thory_beside);

    // Where one is enough, it passes, and what fails is no secret.
    write(&world, "any", "tcp");
    let id = world.commit_and_push("One is enough");
    world.wait_for_revision(&id).await;
    let told = format!("one of its probes passes, and not each: TCP at port {port}: cannot connect");
    let is_told = |status: &StatusDto| {
        let dijon = status.services[0].backends.iter().find(|it| it.name == "api-dijon-1").expect("a backend");
        dijon.verdict == "up" && dijon.warnings.iter().any(|warning| warning.starts_with(&told))
    };
    world.wait_for("what fails beside what passes", is_told).await;
    let (_, text) = world.status_text();
    assert!(text.contains(&told), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_asks_for_less_gets_less() {
    let mut world = World::new().await;
    let [dijon, thory] = [
        GrpcBackend::start("api-dijon-1", Ipv4Addr::new(127, 0, 1, 1), None).await,
        GrpcBackend::start("api-thory-1", Ipv4Addr::new(127, 0, 2, 1), None).await,
    ];
    let health = "health: { type: grpc, report: true, interval: 200ms, rise: 1 }";
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n"));
    for backend in [&dijon, &thory] {
        world.write_backend_at("api", backend.name(), backend.address());
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    let head = vec![("bascule-report", "weight=20%")];
    dijon.answer(Health::Odd { status: 200, head, body: &[0, 0, 0, 0, 2, 8, 1], end: Some("0") });
    let is_heard = |status: &StatusDto| {
        let reasons = status.services[0].backends.iter().filter_map(|backend| backend.reason.as_deref());
        reasons.collect::<Vec<_>>() == ["at 25 % of its share, by its own report"]
    };
    world.wait_for("a report", is_heard).await;
    wait_for("a fifth of the traffic", PATIENCE, || async {
        let mut answers = Vec::new();
        for _ in 0..50 {
            answers.push(world.ask().await.expect("an answer"));
        }
        let of_dijon = answers.iter().filter(|name| *name == "api-dijon-1").count();
        (of_dijon == 10).then_some(())
    })
    .await;

    // What cannot be read is no report, and whoever wrote it hears of it.
    let head = vec![("bascule-report", "weight=0%")];
    dijon.answer(Health::Odd { status: 200, head, body: &[0, 0, 0, 0, 2, 8, 1], end: Some("0") });
    let told = "its report says `weight=0%`, which means nothing: write `drain` or `weight=50%`";
    let is_told = |status: &StatusDto| status.services[0].backends.iter().any(|it| it.warnings == [told.to_owned()]);
    world.wait_for("a warning", is_told).await;
}
