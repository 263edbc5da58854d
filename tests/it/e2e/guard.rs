//! A guard holds in rotation what a wrong health check would take out, through a real Caddy.

use bascule::core::status::StatusDto;

use super::client::Client;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::wait::wait_for;

const NAMES: [&str; 4] = ["api-dijon-1", "api-dijon-2", "api-thory-1", "api-thory-2"];

/// Four backends at two sites, all up.
async fn start(routing: &str) -> (World, Vec<HttpBackend>) {
    let mut world = World::new().await;
    let mut backends = Vec::new();
    for (name, (site, number)) in NAMES.iter().zip([(1, 1), (1, 2), (2, 1), (2, 2)]) {
        backends.push(backend(name, site, number).await);
    }
    write_service(&world, "/up", routing);
    for backend in &backends {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for("all to be up", |status| verdicts(status) == ["up"; 4]).await;
    (world, backends)
}

fn write_service(world: &World, path: &str, routing: &str) {
    let health = format!("health: {{ path: {path}, interval: 100ms, timeout: 90ms, rise: 1, fall: 2 }}");
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\nrouting: {routing}\n"));
}

fn verdicts(status: &StatusDto) -> Vec<&str> {
    status.services.iter().flat_map(|service| &service.backends).map(|backend| backend.verdict.as_str()).collect()
}

fn rotation(status: &StatusDto) -> Vec<bool> {
    status.services.iter().flat_map(|service| &service.backends).map(|backend| backend.in_rotation).collect()
}

/// Waits until a backend is asked by clients again.
async fn wait_until_asked(backend: &HttpBackend) {
    let before = backend.requests_to("/");
    wait_for(&format!("{} to be asked", backend.name()), PATIENCE, || async {
        (backend.requests_to("/") > before + 5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_health_check_leaves_as_many_as_the_guard_asks_for() {
    let (world, backends) = start("{ guard: { min_healthy: 3 } }").await;
    write_service(&world, "/health", "{ guard: { min_healthy: 3 } }");
    let id = world.commit_and_push("Ask for more");
    world.wait_for_revision(&id).await;
    world.wait_for("all to be up", |status| verdicts(status) == ["up"; 4]).await;
    let client = Client::start(world.edge_port());
    // They serve, and fail their checks, one after the other.
    for (number, backend) in backends[..3].iter().enumerate() {
        backend.behave(Behaviour::Unwell);
        world.wait_for("a verdict", |status| verdicts(status)[number] == "down").await;
    }
    let status = world.wait_for("a hold", |status| rotation(status) == [false, true, true, true]).await;
    let fault = status.faults.iter().find(|fault| fault.scope == "service api").expect("the hold is told");
    let said = "api-dijon-2, api-thory-1 are down and held in rotation: its `guard` keeps 3 in";
    assert!(fault.message.starts_with(said), "{}", fault.message);
    for held in &backends[1..3] {
        wait_until_asked(held).await;
    }
    let (_, text) = world.status_text();
    assert!(text.contains("(down, held in rotation by its service's guard)"), "{text}");
    assert!(world.log().contains("are down and held in rotation"), "it is logged");
    // An operator's word is not held, and no other is held for it.
    world.run(&["override", "down", "api-thory-1", "--for", "1h", "--reason", "it is dead"]).succeeded();
    world.wait_for("it to be out", |status| rotation(status) == [false, true, false, true]).await;
    let seen = client.stop().await;
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
}

/// As `a_wrong_health_check…`, over the whole inventory, and with a health check that a commit makes wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_is_rolled_out_wrong_does_not_end_a_service() {
    let (world, backends) = start("{ when_all_down: page }").await;
    for backend in &backends {
        backend.behave(Behaviour::Unwell);
    }
    let client = Client::start(world.edge_port());
    write_service(&world, "/health", "{ when_all_down: page }");
    world.commit_and_push("Ask for what none of them has");
    let status = world.wait_for("all to be down", |status| verdicts(status) == ["down"; 4]).await;
    // One site could be cut, and of the other half may go beside it.
    let in_rotation = |status: &StatusDto| rotation(status).into_iter().filter(|is_in| *is_in).count();
    let status = if in_rotation(&status) == 1 {
        status
    } else {
        world.wait_for("one to be held", |status| in_rotation(status) == 1).await
    };
    let fault = status.faults.iter().find(|fault| fault.scope == "guard").expect("the hold is told");
    assert!(fault.message.contains("of them 1 stay in rotation"), "{}", fault.message);
    write_service(&world, "/up", "{ when_all_down: page }");
    world.commit_and_push("Ask for what they have");
    world.wait_for("all to be in", |status| rotation(status) == [true; 4] && status.faults.is_empty()).await;
    let seen = client.stop().await;
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
}
