//! Traffic that returns in steps, its shares measured at a real Caddy.

use bascule::core::status::StatusDto;

use super::world::{DOMAIN, World, backend};

/// Requests in one measurement: enough that a place more or less is one percent.
const REQUESTS: u64 = 120;

/// Of so many requests, those that the preferred site answers, in percent; and what the status said before and after.
async fn measure(world: &World) -> (u64, [Option<u8>; 2]) {
    let returning = async || world.status().await.expect("a status").services[0].returning;
    let before = returning().await;
    let mut preferred = 0;
    for _ in 0..REQUESTS {
        preferred += u64::from(world.ask().await.expect("an answer") == "api-dijon-1");
    }
    (preferred * 100 / REQUESTS, [before, returning().await])
}

/// The digest that the edge runs, where it is what it should run.
fn served(status: &StatusDto) -> Option<&str> {
    let edge = &status.edges[0];
    let applied = edge.applied.as_ref().map(|applied| applied.digest.as_str());
    applied.filter(|applied| edge.rendered.as_deref() == Some(*applied))
}

/// Waits until a step is in the plan and, since each is another configuration, at the edge.
async fn wait_for_step(world: &World, percent: Option<u8>, before: &str) -> String {
    let is_there = |status: &StatusDto| {
        status.services[0].returning == percent && served(status).is_some_and(|digest| digest != before)
    };
    let status = world.wait_for(&format!("{percent:?} %"), is_there).await;
    served(&status).expect("it is served").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_returns_to_a_site_in_steps() {
    let mut world = World::new().await;
    let (mut dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    let health = "health: { path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }";
    let routing = "routing: { policy: priority, sites: [dijon, thory], failback: { after: 1s, ramp: 24s } }";
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n{routing}\n"));
    for backend in [&dijon, &thory] {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for_answer("api-dijon-1").await;
    dijon.stop().await;
    world.wait_for("the other site", |status| status.services[0].backends.iter().any(|it| it.verdict == "down")).await;
    world.wait_for_answer("api-thory-1").await;
    let status = world.wait_for("an edge as it should be", |status| served(status).is_some()).await;
    let mut digest = served(&status).expect("it is served").to_owned();
    dijon.start_again().await;
    let mut measured = Vec::new();
    for percent in [25, 50, 75] {
        digest = wait_for_step(&world, Some(percent), &digest).await;
        let (preferred, said) = measure(&world).await;
        // On a machine that is busy a step may end under the measurement; then it tells nothing.
        if said == [Some(percent); 2] {
            assert!(preferred.abs_diff(u64::from(percent)) <= 2, "{preferred} % at {percent} %");
            measured.push(percent);
        }
    }
    assert!(measured.len() >= 2, "measured at {measured:?} only");
    wait_for_step(&world, None, &digest).await;
    assert_eq!(measure(&world).await.0, 100);
    let pushes = world.status().await.expect("a status").edges[0].pushes;
    assert!(pushes <= 7, "{pushes} pushes: the first, four steps, and the loss if it has settled");
}
