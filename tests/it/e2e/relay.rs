//! The verdict relay: verdicts act without a push, and the edge goes on checking by itself while the controller is away.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::client::Client;
use super::talker::Talker;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::wait::wait_for;

/// How often something is done in one run: what a variable says, for a longer look than every run can take.
fn times(variable: &str, usual: usize) -> usize {
    let said = std::env::var(variable).ok();
    said.map_or(usual, |said| said.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {said}")))
}

/// A backend is quiet when it has got no request for this long, of those that come every ten milliseconds.
const QUIET: Duration = Duration::from_millis(300);

/// Two backends that can be unwell, at one site each, and a third that talks.
struct Service {
    world: World,
    dijon: HttpBackend,
    thory: HttpBackend,
    talker: Talker,
}

impl Service {
    async fn start() -> Self {
        let mut world = World::new().await;
        let dijon = backend("api-dijon-1", 1, 1).await;
        let thory = backend("api-thory-1", 2, 1).await;
        let talker = Talker::start_on(Ipv4Addr::new(127, 0, 2, 2)).await;
        let health = "health: { path: /health, interval: 100ms, timeout: 90ms, rise: 1, fall: 2 }";
        world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{health}\n"));
        world.write_backend("api", &dijon);
        world.write_backend("api", &thory);
        world.write_backend_at("api", "api-thory-2", talker.address());
        let id = world.commit_and_push("Declare a service");
        world.start();
        world.wait_for_revision(&id).await;
        let service = Self { world, dijon, thory, talker };
        for name in ["api-dijon-1", "api-thory-1", "api-thory-2"] {
            service.wait_for_verdict(name, "up").await;
        }
        service.world.wait_for("the relay to ask", |status| relay(status) == Some("asked".to_owned())).await;
        service
    }

    async fn wait_for_verdict(&self, name: &str, verdict: &str) {
        let is_so = |status: &bascule::core::status::StatusDto| {
            let mut backends = status.services.iter().flat_map(|service| &service.backends);
            backends.any(|backend| backend.name == name && backend.verdict == verdict)
        };
        self.world.wait_for(&format!("{name} to be {verdict}"), is_so).await;
    }

    async fn pushes(&self) -> u64 {
        self.world.status().await.expect("the controller answers").edges[0].pushes
    }
}

fn relay(status: &bascule::core::status::StatusDto) -> Option<String> {
    let relay = serde_json::to_value(status.edges.first()?.relay?).ok()?;
    relay.as_str().map(str::to_owned)
}

/// Waits until a backend gets no request of clients any more.
async fn wait_until_left_alone(backend: &HttpBackend) {
    wait_for(&format!("{} to be left alone", backend.name()), PATIENCE, || async {
        let before = backend.requests_to("/");
        tokio::time::sleep(QUIET).await;
        (backend.requests_to("/") == before).then_some(())
    })
    .await;
}

async fn wait_until_asked(backend: &HttpBackend) {
    let before = backend.requests_to("/");
    wait_for(&format!("{} to be asked again", backend.name()), PATIENCE, || async {
        (backend.requests_to("/") > before + 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_flip_without_a_push_a_failure_or_a_lost_websocket() {
    let service = Service::start().await;
    let stream = TcpStream::connect(service.talker.address()).await.expect("the talker listens");
    drop(stream);
    // Through the edge until the talker has it: it is one of three.
    let mut socket = loop {
        let stream = TcpStream::connect(("127.0.0.1", service.world.edge_port())).await.expect("the edge listens");
        let request = format!("ws://{DOMAIN}/socket").into_client_request().expect("a request");
        if let Ok((socket, _)) = tokio_tungstenite::client_async(request, stream).await {
            break socket;
        }
    };
    let pushes = service.pushes().await;
    let client = Client::start(service.world.edge_port());
    for flip in 0..times("BASCULE_TEST_FLIPS", 60) / 2 {
        let (one, name) = if flip % 2 == 0 { (&service.dijon, "api-dijon-1") } else { (&service.thory, "api-thory-1") };
        one.behave(Behaviour::Unwell);
        service.wait_for_verdict(name, "down").await;
        if flip < 2 {
            wait_until_left_alone(one).await;
        }
        one.behave(Behaviour::Ok);
        service.wait_for_verdict(name, "up").await;
        if flip < 2 {
            wait_until_asked(one).await;
        }
    }
    let seen = client.stop().await;
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
    assert_eq!(seen.again, 0, "nothing closed a connection");
    assert_eq!(service.pushes().await, pushes, "verdicts were pushed");
    socket.send(Message::text("still here")).await.expect("the socket is open");
    let answer = timeout(PATIENCE, socket.next()).await.expect("an echo in time");
    assert_eq!(answer.expect("the socket is open").expect("a message"), Message::text("still here"));
}

/// Killed or stopped, in the middle of whatever it does.
#[tokio::test(flavor = "multi_thread")]
async fn the_edge_checks_by_itself_while_the_controller_is_away_and_hands_back() {
    let mut service = Service::start().await;
    let pushes = service.pushes().await;
    let client = Client::start(service.world.edge_port());
    for fault in ["STOP", "KILL"] {
        match fault {
            "STOP" => service.world.signal("STOP"),
            _ => service.world.kill(),
        }
        service.dijon.behave(Behaviour::Unwell);
        wait_until_left_alone(&service.dijon).await;
        service.dijon.behave(Behaviour::Ok);
        wait_until_asked(&service.dijon).await;
        // Back, and its verdicts act again, still without a push.
        match fault {
            "STOP" => service.world.signal("CONT"),
            _ => service.world.start(),
        }
        service.wait_for_verdict("api-thory-1", "up").await;
        service.thory.behave(Behaviour::Unwell);
        service.wait_for_verdict("api-thory-1", "down").await;
        wait_until_left_alone(&service.thory).await;
        service.thory.behave(Behaviour::Ok);
        service.wait_for_verdict("api-thory-1", "up").await;
        wait_until_asked(&service.thory).await;
    }
    let seen = client.stop().await;
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
    assert_eq!(service.pushes().await, 0, "after a restart nothing had to be pushed ({pushes} before)");
}

/// Caddy forgets at every load which upstreams are down. Not one request may reach a backend that is, for all that; and
/// Caddy keeps nothing of the configurations before.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_under_load_revive_nobody_and_leave_nothing_behind() {
    // Each is of a commit.
    let pushes = times("BASCULE_TEST_PUSHES", 50);
    let service = Service::start().await;
    let client = Client::start(service.world.edge_port());
    wait_until_asked(&service.dijon).await;
    service.dijon.behave(Behaviour::Unwell);
    service.wait_for_verdict("api-dijon-1", "down").await;
    wait_until_left_alone(&service.dijon).await;
    let asked = service.dijon.requests_to("/");
    let pid = service.world.caddy.pid();
    let mut weighed = Vec::new();
    for push in 0..pushes {
        service.world.write_service("other", &format!("other-{push}.example.org"));
        if push == 0 {
            service.world.write_backend_at("other", "other-thory-1", "127.0.2.9:9".parse().expect("an address"));
        }
        let id = service.world.commit_and_push(&format!("Change {push}"));
        service.world.wait_for_revision(&id).await;
        weighed.push(weight(pid));
    }
    let seen = client.stop().await;
    eprintln!(
        "{} requests while {pushes} configurations were pushed: {} failed, {} sent again over a new connection; longest {:?}",
        seen.requests,
        seen.failures.len(),
        seen.again,
        seen.longest
    );
    assert_eq!(service.dijon.requests_to("/"), asked, "a push sent requests to a backend that is down");
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
    let (early, late) = (weighed[pushes / 5], weighed[pushes - 1]);
    eprintln!("files and megabytes of Caddy: {early:?} after {} pushes, {late:?} after {pushes}", pushes / 5);
    assert!(late.0 <= early.0 + 50, "open files grow: {weighed:?}");
    assert!(late.1 <= early.1 + 60, "memory grows: {weighed:?}");
}

/// Open files and resident megabytes of a process.
fn weight(pid: u32) -> (usize, u64) {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("Caddy runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Caddy runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    let kilobytes: u64 = resident.trim().trim_end_matches("kB").trim().parse().expect("a number");
    (files, kilobytes / 1024)
}
