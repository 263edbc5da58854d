//! `kill -9` of the controller, again and again.

use std::time::Duration;

use bascule::store::Store;

use super::client::Client;
use super::world::{DOMAIN, World, backend};
use crate::support::http::Behaviour;

const KILLS: usize = 50;
/// Services that commits add and change beside the one that is asked.
const EXTRAS: usize = 5;
/// A controller lives at most this long: from before it has read its state file to well after its first pushes.
const LIFE_MAX_MS: u64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing() {
    let seed =
        std::env::var("BASCULE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("replay with BASCULE_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new().await;
    let (dijon, thory) = (backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await);
    world.write_service("api", DOMAIN);
    world.write_backend("api", &dijon);
    world.write_backend("api", &thory);
    let mut extras = Vec::new();
    for number in 0..EXTRAS {
        let address = u8::try_from(100 + number).expect("a few backends");
        extras.push(backend(&format!("extra-{number}"), 1, address).await);
    }
    let mut head = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&head).await;
    let client = Client::start(world.edge_port());

    for round in 0..KILLS {
        match random.u8(0..3) {
            0 => {
                let extra = &extras[round % EXTRAS];
                world.write_service(extra.name(), &format!("extra-{round}.acecinema.fr"));
                world.write_backend(extra.name(), extra);
                head = world.commit_and_push(&format!("Round {round}"));
            }
            // Only one of the two fails at a time: the service itself stays up. It breaks off its connections, which Caddy
            // never gives to a client; a status such as 503 may reach one, where every try of a request falls on it.
            1 => dijon.behave(Behaviour::Close),
            _ => dijon.behave(Behaviour::Ok),
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..LIFE_MAX_MS))).await;
        world.kill();
        if round % 10 == 9 {
            let store = Store::open(&world.path("bascule.db")).expect("the state file opens");
            store.integrity().await.expect("the state file is whole");
            let good = store.last_good_revision().await.expect("a read").expect("a good revision");
            assert!(!good.1.is_empty(), "the last good revision has lost its files");
            store.close().await;
        }
        world.start();
    }
    dijon.behave(Behaviour::Ok);
    world.wait_for_revision(&head).await;
    // Up, though one that flips so often may be held back for minutes yet.
    world
        .wait_for("both backends up", |status| {
            let backends = status.services.iter().filter(|service| service.name == "api").flat_map(|it| &it.backends);
            backends.into_iter().all(|backend| backend.verdict == "up")
        })
        .await;
    assert!(world.terminate().await, "bascule ends with success");

    let store = Store::open(&world.path("bascule.db")).expect("the state file opens");
    store.integrity().await.expect("the state file is whole");
    let applies = store.applies("ovh".parse().expect("a name"), 10_000).await.expect("a read");
    assert_eq!(applies[0].revision.as_str(), head, "the last applied revision is the head");
    let revisions: Vec<_> = store.revisions(10_000).await.expect("a read").into_iter().map(|row| row.info.id).collect();
    for apply in &applies {
        assert!(revisions.contains(&apply.revision), "applied revision {} is forgotten", apply.revision);
    }
    let seen = client.stop().await;
    println!("{KILLS} kills: {} requests, {} sent again, longest {:?}", seen.requests, seen.again, seen.longest);
    assert_eq!(seen.failures, Vec::<String>::new(), "Caddy stopped serving");
}
