//! What clients meet at the edge has backends probed at once; and nothing else follows from it.

use std::time::Duration;

use bascule::core::status::StatusDto;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::wait::wait_for;

/// Longer than a test waits for anything: what a probe finds in it, it was sent out for.
const SELDOM: &str = "health: { path: /health, interval: 10m, timeout: 1s, rise: 1, fall: 2 }";

struct Service {
    world: World,
    dijon: HttpBackend,
    thory: HttpBackend,
}

impl Service {
    async fn start() -> Self {
        let mut world = World::new().await;
        let dijon = backend("api-dijon-1", 1, 1).await;
        let thory = backend("api-thory-1", 2, 1).await;
        world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{SELDOM}\n"));
        world.write_backend("api", &dijon);
        world.write_backend("api", &thory);
        let id = world.commit_and_push("Declare a service");
        world.start();
        world.wait_for_revision(&id).await;
        world.wait_for("both to be up", |status| verdicts(status) == ["up", "up"]).await;
        Self { world, dijon, thory }
    }

    /// Clients that post to a path all the while: what is not safe to send again, they get as it is answered.
    fn post(&self, path: &str) -> JoinHandle<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let url = format!("http://127.0.0.1:{}{path}", self.world.edge_port());
        tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                let request = client.post(&url).header("Host", DOMAIN).body("some body");
                drop(tokio::spawn(request.send()));
            }
        })
    }
}

fn verdicts(status: &StatusDto) -> Vec<String> {
    let backends = status.services.iter().flat_map(|service| &service.backends);
    backends.map(|backend| backend.verdict.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_errs_is_left_alone_long_before_its_next_probe() {
    let service = Service::start().await;
    let clients = service.post("/");
    wait_for("both to be asked", PATIENCE, || async {
        (service.dijon.requests_to("/") > 9 && service.thory.requests_to("/") > 9).then_some(())
    })
    .await;
    let began = Instant::now();
    service.dijon.behave(Behaviour::Status(500));
    service.world.wait_for("dijon to be down", |status| verdicts(status) == ["down", "up"]).await;
    let judged = began.elapsed();
    wait_for("dijon to be left alone", PATIENCE, || async {
        let before = service.dijon.requests_to("/");
        tokio::time::sleep(Duration::from_millis(300)).await;
        (service.dijon.requests_to("/") == before).then_some(())
    })
    .await;
    eprintln!("judged after {judged:?}, seen to be left alone after {:?}", began.elapsed());
    assert_eq!(service.dijon.requests_to("/health"), 3, "one when it was new, and two to judge it by");
    clients.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_page_takes_nobody_out_and_costs_few_probes() {
    let service = Service::start().await;
    for backend in [&service.dijon, &service.thory] {
        backend.behave(Behaviour::StatusAt("/bad", 500));
    }
    let clients = service.post("/bad");
    let probes = || service.dijon.requests_to("/health");
    let first = wait_for("what clients meet to be looked into", PATIENCE, || async {
        Some(probes()).filter(|probes| *probes > 1)
    })
    .await;
    let began = Instant::now();
    // Whoever else sends datagrams there, and however many, is not better heard.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let text = format!(
        "{{\"logger\":\"http.log.access.bascule.ovh.api\",\"status\":500,\"upstream\":\"{}\"}}",
        service.dijon.address()
    );
    while probes() < first + 12 && began.elapsed() < PATIENCE {
        stranger.send_to(text.as_bytes(), service.world.relay_address()).await.expect("loopback takes it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (asked, took) = (probes() - first, began.elapsed());
    eprintln!("{asked} probes in {took:?}");
    assert!(asked >= 12, "{asked} probes in {took:?}");
    assert!(u128::from(asked) <= took.as_millis() / 250 + 2, "{asked} probes in {took:?}");
    let status = service.world.status().await.expect("the controller answers");
    assert_eq!(verdicts(&status), ["up", "up"]);
    clients.abort();
}
