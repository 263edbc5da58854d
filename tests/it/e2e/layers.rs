//! What is told of a site as a whole.

use std::net::TcpListener;

use bascule::core::status::{EventDto, SiteState, StatusDto, TunnelState};

use super::world::{DOMAIN, World, backend};
use crate::support::http::Behaviour;

/// How dijon stands.
fn dijon(status: &StatusDto) -> &bascule::core::status::SiteDto {
    status.sites.iter().find(|site| site.name == "dijon").expect("it is declared")
}

/// Events of dijon, oldest first: where to, and with how many backends.
fn events(status: &StatusDto) -> Vec<(String, u32)> {
    let ours = status.events.iter().rev().filter(|event| event.subject == "site:dijon");
    ours.map(|EventDto { to, backends, .. }| (to.clone(), *backends)).collect()
}

fn told(events: &[(&str, u32)]) -> Vec<(String, u32)> {
    events.iter().map(|(to, backends)| ((*to).to_owned(), *backends)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_one_event_and_its_tunnel_tells_why_over_a_restart_too() {
    let mut world = World::new().await;
    let gateway = TcpListener::bind("127.0.1.200:0").expect("a port");
    let address = gateway.local_addr().expect("an address");
    world.write(
        "sites/dijon.yaml",
        &format!("name: dijon\nsubnets: [127.0.1.0/24]\ntunnel: {{ gateway: \"{address}\" }}\n"),
    );
    world.write_service("api", DOMAIN);
    let dijons = [backend("api-dijon-1", 1, 1).await, backend("api-dijon-2", 1, 2).await];
    let thory = backend("api-thory-1", 2, 1).await;
    for backend in dijons.iter().chain([&thory]) {
        world.write_backend("api", backend);
    }
    world.commit_and_push("Declare a service");
    world.start();
    let status = world.wait_for("all of dijon", |status| events(status) == told(&[("up", 2)])).await;
    assert_eq!(dijon(&status).state, SiteState::Up);
    let tunnel_is_up =
        |status: &StatusDto| dijon(status).tunnel.as_ref().is_some_and(|tunnel| tunnel.state == TunnelState::Up);
    world.wait_for("the tunnel", tunnel_is_up).await;

    for backend in &dijons {
        backend.behave(Behaviour::Status(503));
    }
    let is_down = |status: &StatusDto| events(status) == told(&[("up", 2), ("down", 2)]);
    let status = world.wait_for("the site to be down", is_down).await;
    let cause = dijon(&status).cause.clone().expect("a site that is down has a cause");
    assert_eq!(cause, "site's backends down (its machines are there: answered 503)");
    let fault = status.faults.iter().find(|fault| fault.scope == "site dijon").expect("it is a fault");
    assert_eq!(fault.message, format!("down with 2 backends: {cause}"));
    let (_, text) = world.status_text();
    assert!(text.contains("site dijon  down for ") && text.contains(&cause), "{text}");
    assert!(text.contains("site:dijon down with 2 backends: "), "{text}");

    // It is told once, also when the controller starts anew in the meantime.
    world.kill();
    world.start();
    let status = world.wait_for("the events of before", is_down).await;
    assert_eq!(dijon(&status).state, SiteState::Down);
    for backend in &dijons {
        backend.behave(Behaviour::Ok);
    }
    let is_back = |status: &StatusDto| events(status) == told(&[("up", 2), ("down", 2), ("up", 2)]);
    world.wait_for("the site to be back", is_back).await;
    let log = world.log();
    let lines = |message: &str| log.lines().filter(|line| line.contains(message) && line.contains("dijon")).count();
    assert_eq!(lines("\"site went down\""), 1, "{log}");
    assert_eq!(lines("\"site is up\""), 2, "{log}");
    assert_eq!(lines("\"verdict changed\""), 0, "{log}");

    // One backend alone is told alone.
    dijons[0].behave(Behaviour::Status(500));
    world.wait_for("one to be down", |status| dijon(status).state == SiteState::Partial).await;
    let log_tells = || async { world.log().contains("\"verdict changed\"").then_some(()) };
    crate::support::wait::wait_for("its line", super::world::PATIENCE, log_tells).await;
    assert!(is_back(&world.status().await.expect("a status")), "it is no event of the site");
}
