//! `bascule failback`: traffic returns by an operator's word.

use bascule::core::status::{RelayState, StatusDto};

use super::world::{DOMAIN, World, backend};
use crate::support::http::HttpBackend;

const HEALTH: &str = "health: { path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }";

/// A service with this routing whose first site has been away and is back, so that the second serves.
async fn failed_over(routing: &str) -> (World, [HttpBackend; 2]) {
    let mut world = World::new().await;
    let mut backends = [backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await];
    world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{HEALTH}\nrouting: {{ {routing} }}\n"));
    for backend in &backends {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    world.wait_for("both up", |status| verdicts(status) == ["up", "up"]).await;
    world.wait_for_answer("api-dijon-1").await;
    let ran = world.run(&["failback", "api"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("dijon") && ran.stderr.contains("already"), "{}", ran.stderr);
    backends[0].stop().await;
    world.wait_for_answer("api-thory-1").await;
    world.wait_for("the other site", |status| serves(status) == ["api-thory-1"]).await;
    let ran = world.run(&["failback", "api"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("what it prefers cannot serve now (api-dijon-1: down)"), "{}", ran.stderr);
    backends[0].start_again().await;
    world.wait_for("both up", |status| verdicts(status) == ["up", "up"]).await;
    (world, backends)
}

fn verdicts(status: &StatusDto) -> Vec<&str> {
    status.services.iter().flat_map(|service| &service.backends).map(|backend| backend.verdict.as_str()).collect()
}

fn serves(status: &StatusDto) -> Vec<&str> {
    let backends = status.services.iter().flat_map(|service| &service.backends);
    backends.filter(|backend| backend.in_rotation).map(|backend| backend.name.as_str()).collect()
}

async fn returns(routing: &str, said: &str) {
    let (mut world, _backends) = failed_over(routing).await;
    assert_eq!(serves(&world.status().await.expect("a status")), ["api-thory-1"], "it waits for an operator");
    assert_eq!(world.run(&["failback", "api", "--by", "berta"]).succeeded(), said);
    world.kill();
    world.start();
    let status = world.wait_for("both up", |status| verdicts(status) == ["up", "up"]).await;
    assert_eq!(serves(&status), ["api-dijon-1"], "what was answered survives a kill");
    world.wait_for_answer("api-dijon-1").await;
    assert!(world.log().contains("failback by an operator") && world.log().contains("berta"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_gets_its_traffic_back() {
    returns(
        "policy: priority, sites: [dijon, thory], failback: { manual: true }",
        "service api: traffic returns from site thory to site dijon (api-dijon-1)\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preferred_one_of_a_single_service_gets_its_traffic_back() {
    returns(
        "policy: single, sites: [dijon, thory], confirm: 1s",
        "service api: traffic returns from backend api-thory-1 to backend api-dijon-1 (api-dijon-1)\n",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_to_fail_back_to_says_so() {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    let id = world.commit_and_push("Declare a service");
    world.start();
    let status = world.wait_for_revision(&id).await;
    assert_ne!(status.edges[0].relay, None::<RelayState>);
    for (service, part) in
        [("api", "has the policy `spread`"), ("aip", "no service is named `aip`; did you mean `api`?")]
    {
        let ran = world.run(&["failback", service]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(part), "{}", ran.stderr);
    }
}
