//! `git push` of a backend, and how soon it answers.

use bascule::store::{ApplyOutcome, Store};
use tokio::time::Instant;

use super::client::{Client, Seen};
use super::world::{DOMAIN, World, backend};
use crate::support::git_http::GitHttp;
use crate::support::http::HttpBackend;

/// Services beside the one that is looked at.
const OTHERS: usize = 99;

/// A world of 100 services whose controller is at the newest commit. The backends live as long as they are held.
async fn hundred_services() -> (World, Vec<HttpBackend>) {
    let world = World::new().await;
    let mut backends = vec![backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await];
    world.write_service("api", DOMAIN);
    for backend in &backends {
        world.write_backend("api", backend);
    }
    for number in 0..OTHERS {
        let name = format!("other-{number}");
        // Probed rarely: what is looked at is a push, on two cores that everything here shares.
        let health = "health: { path: /health, interval: 10s }";
        let text = format!("name: {name}\ndomains: [{name}.acecinema.fr]\n{health}\n");
        world.write(&format!("services/{name}.yaml"), &text);
        for (site, network) in [("dijon", 1), ("thory", 2)] {
            let address = u8::try_from(number + 100).expect("a few services");
            let other = backend(&format!("{name}-{site}"), network, address).await;
            world.write_backend(&name, &other);
            backends.push(other);
        }
    }
    (world, backends)
}

/// Pushes a new backend under load, and says what the client saw.
async fn push_under_load(world: &World) -> (Seen, std::time::Duration) {
    let added = backend("api-thory-2", 2, 2).await;
    let client = Client::start(world.edge_port());
    world.write_backend("api", &added);
    let id = world.commit("Add a backend in thory");
    let pushed = Instant::now();
    world.push();
    world.wait_for_revision(&id).await;
    client.wait_for_answer_of("api-thory-2").await;
    let seen = client.stop().await;
    let first = seen.first["api-thory-2"];
    (seen, first.duration_since(pushed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_backend_is_served_at_once_from_a_watched_repository() {
    let (mut world, _backends) = hundred_services().await;
    let id = world.commit_and_push("Declare 100 services");
    world.start();
    world.wait_for_revision(&id).await;
    let (seen, took) = push_under_load(&world).await;
    let Seen { requests, again, longest, .. } = &seen;
    println!(
        "watched: first request {took:?} after the push began; {requests} requests, {again} sent again, longest {longest:?}"
    );
    assert_eq!(seen.failures, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_changes_nothing_at_the_edge_is_served_without_a_push() {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    let first = world.commit_and_push("Declare a service");
    let repository = world.path("remote.git").display().to_string();
    // No look at the edge in between: it is the commit that is taken.
    world.start_with(&repository, "30s", &["--resync", "1h"]);
    let before = world.wait_for_revision(&first).await;
    world.write("sites/thory.yaml", "name: thory\nsubnets: [127.0.2.0/24]\ntags: [bourgogne]\n");
    let second = world.commit_and_push("Say where a site is");
    let after = world.wait_for_revision(&second).await;
    assert_eq!(before.edges[0].pushes, after.edges[0].pushes);
    // An operator's reconciliation looks at once.
    let said = world.run(&["reconcile", "--wait", "--timeout", "20s"]).succeeded();
    assert!(said.contains(&format!("revision {} \"Say where a site is\" is served by ovh", &second[..12])), "{said}");
    assert!(world.terminate().await);
    let store = Store::open(&world.path("bascule.db")).expect("the state file opens");
    let last = store.last_applied("ovh".parse().expect("a name")).await.expect("a read").expect("an apply");
    assert_eq!((last.revision.as_str(), last.outcome), (second.as_str(), ApplyOutcome::Unchanged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_backend_is_served_within_an_interval_from_a_polled_repository() {
    let (mut world, _backends) = hundred_services().await;
    let id = world.commit_and_push("Declare 100 services");
    let server = GitHttp::start(world.path(""), None).await;
    world.start_on(&format!("http://127.0.0.1:{}/remote.git", server.port()), "1s");
    world.wait_for_revision(&id).await;
    let (seen, took) = push_under_load(&world).await;
    let Seen { requests, again, longest, .. } = &seen;
    println!(
        "polled each 1 s: first request {took:?} after the push began; {requests} requests, {again} sent again, longest {longest:?}"
    );
    assert_eq!(seen.failures, Vec::<String>::new());
}

/// However a repository of this machine is named, it is watched: the poll is an hour away.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_served_at_once_however_the_repository_is_named() {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    let file_url = format!("file://{}", world.path("remote.git").display());
    for repository in [".", "./", "../work", "../remote.git", &file_url] {
        let before = world.commit_and_push(&format!("Before {repository}"));
        world.start_on(repository, "1h");
        world.wait_for_revision(&before).await;
        let after = world.commit_and_push(&format!("After {repository}"));
        world.wait_for_revision(&after).await;
        assert!(world.terminate().await, "{repository}");
    }
}
