//! Taking a backend out while something is open to it: what goes on, for how long, and what is told of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use bascule::core::routing::Leaving;
use bascule::core::status::{SeverDto, StatusDto};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Response;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::talker::Talker;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::http::HttpBackend;

/// The time to drain in these tests, longer than what WebSockets get otherwise.
const DRAIN: Duration = Duration::from_secs(4);
const SERVICE: &str = "\
health: { path: /health, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }
timeouts: { stream_close: 1s, drain: 4s }
";

/// A service with a backend that streams and one that does not, a WebSocket and an event stream open to the former.
struct Streams {
    world: World,
    talker: Talker,
    socket: WebSocketStream<TcpStream>,
    events: Response,
    other: HttpBackend,
}

impl Streams {
    /// Both streams, opened while the talker is the only backend.
    async fn open(arguments: &[&str]) -> Self {
        let mut world = World::new().await;
        let talker = Talker::start_on(Ipv4Addr::new(127, 0, 1, 1)).await;
        world.write("services/api.yaml", &format!("name: api\ndomains: [{DOMAIN}]\n{SERVICE}"));
        world.write_backend_at("api", "api-dijon-1", talker.address());
        let id = world.commit_and_push("Declare a service");
        let repository = world.path("remote.git").display().to_string();
        let common = ["--log", "info,bascule=debug", "--resync", "1s"];
        world.start_with(&repository, "30s", &[&common[..], arguments].concat());
        world.wait_for_revision(&id).await;

        let stream = TcpStream::connect(("127.0.0.1", world.edge_port())).await.expect("the edge listens");
        let request = format!("ws://{DOMAIN}/socket").into_client_request().expect("a request");
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
        echo(&mut socket, "before").await.expect("it is open");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{}/events", world.edge_port());
        let events = client.get(url).header("Host", DOMAIN).send().await.expect("the edge answers");

        let other = backend("api-thory-1", 2, 1).await;
        Self { world, talker, socket, events, other }
    }

    /// Declares the other backend, and the first one with these further lines.
    async fn commit(&self, more: &str) -> Instant {
        self.world.write_backend("api", &self.other);
        let address = self.talker.address();
        let (ip, port) = (address.ip(), address.port());
        let text = format!("service: api\nname: api-dijon-1\nsite: dijon\naddr: {ip}\nport: {port}\n{more}\n");
        self.world.write("backends/api-dijon-1.yaml", &text);
        let id = self.world.commit_and_push("Change a backend");
        self.world.wait_for_revision(&id).await;
        Instant::now()
    }

    /// An event arrives: the stream goes on.
    async fn expect_event(&mut self, number: u32) {
        self.talker.send_event(number);
        let expected = format!("data: {number}\n\n");
        loop {
            let chunk = timeout(PATIENCE, self.events.chunk()).await.expect("an event in time").expect("it goes on");
            if chunk.expect("the stream is open") == expected {
                return;
            }
        }
    }

    /// Waits until the status tells how much is open, and why that backend gets nothing new.
    async fn wait_for_open(&self, open: u64) -> Leaving {
        let upstream = self.talker.address().to_string();
        let found = |status: &StatusDto| {
            let leaving = status.edges[0].leaving.iter().find(|it| it.upstream == upstream);
            leaving.filter(|it| it.open == open).cloned()
        };
        let status = self.world.wait_for(&format!("{open} open"), |status| found(status).is_some()).await;
        found(&status).expect("it was there")
    }
}

/// Sends over a WebSocket and waits for the echo; none where it has ended.
async fn echo(socket: &mut WebSocketStream<TcpStream>, text: &str) -> Option<()> {
    socket.send(Message::text(text)).await.ok()?;
    let answer = timeout(PATIENCE, socket.next()).await.expect("an echo or the end in time");
    (answer?.ok()? == Message::text(text)).then_some(())
}

/// How long after `since` a WebSocket ends on which nothing is sent.
async fn end_of(socket: &mut WebSocketStream<TcpStream>, since: Instant) -> Duration {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("it ends in time") {
            None | Some(Err(_) | Ok(Message::Close(_))) => return since.elapsed(),
            Some(Ok(_)) => {}
        }
    }
}

async fn gets_nothing_new(world: &World) {
    for _ in 0..50 {
        assert_eq!(world.ask().await.as_deref(), Ok("api-thory-1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_drained_backend_live_for_its_time_to_drain() {
    let mut streams = Streams::open(&[]).await;
    let began = streams.commit("state: drain").await;
    gets_nothing_new(&streams.world).await;
    let leaving = streams.wait_for_open(2).await;
    assert_eq!((leaving.backend.as_deref(), leaving.reason.as_str()), (Some("api-dijon-1"), "draining"));
    let (_, text) = streams.world.status_text();
    assert!(text.contains("(api-dijon-1, draining): 2 requests or streams open"), "{text}");
    streams.expect_event(1).await;

    let took = end_of(&mut streams.socket, began).await;
    println!("the WebSocket ended {took:?} after the push");
    // The push was seen a little after Caddy began to count; `stream_close` alone would have ended it after a second.
    assert!(took + Duration::from_secs(2) > DRAIN, "{took:?}");
    streams.wait_for_open(1).await;
    streams.expect_event(2).await;
    drop(streams.events);
    streams.world.wait_for("nothing open", |status| status.edges[0].leaving.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_is_open_to_whom_it_takes_out() {
    let mut streams = Streams::open(&[]).await;
    let upstream = streams.talker.address().to_string();
    streams.world.write_backend("api", &streams.other);
    streams.world.remove("backends/api-dijon-1.yaml");
    // It warns on stderr of a service at a single site.
    let json = streams.world.run_alone(&["plan", "work", "--format", "json"]).stdout;
    let plans: Value = serde_json::from_str(&json).expect("JSON");
    let expected = serde_json::json!([{"upstream": upstream, "reason": "removed", "open": 2}]);
    assert_eq!(plans["edges"][0]["leaving"], expected, "{json}");
    let text = streams.world.run_alone(&["plan", "work"]).stdout;
    assert!(text.contains(&format!("  leaving {upstream} (removed): 2 requests or streams open\n")), "{text}");
    // It has told, and done nothing.
    echo(&mut streams.socket, "after a plan").await.expect("it is open");

    let id = streams.world.commit_and_push("Take a backend out");
    streams.world.wait_for_revision(&id).await;
    let leaving = streams.wait_for_open(2).await;
    assert_eq!((leaving.backend, leaving.reason.as_str()), (None, "removed"));
    streams.expect_event(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_tells_what_is_open_and_ends_nothing() {
    let mut streams = Streams::open(&[]).await;
    streams.commit("").await;
    streams.world.wait_for_answer("api-thory-1").await;
    streams.world.run(&["override", "drain", "api-dijon-1", "--for", "10m", "--reason", "disk swap"]).succeeded();
    let leaving = streams.wait_for_open(2).await;
    assert_eq!(leaving.reason, "override: drain");
    streams.expect_event(1).await;
}

/// A session that is bound to a drained backend goes on at another one, and a new one never begins there.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_leave_a_drained_backend() {
    let mut world = World::new().await;
    let backends =
        [backend("api-dijon-1", 1, 1).await, backend("api-thory-1", 2, 1).await, backend("api-thory-2", 2, 2).await];
    world.write(
        "services/api.yaml",
        &format!("name: api\ndomains: [{DOMAIN}]\n{SERVICE}routing: {{ sticky: cookie }}\n"),
    );
    for backend in &backends {
        world.write_backend("api", backend);
    }
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;

    let url = format!("http://127.0.0.1:{}/", world.edge_port());
    // No kept connections: a load closes those, and this is not what is looked at.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
    let ask = async |cookie: Option<&str>| {
        let request = client.get(&url).header("Host", DOMAIN);
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("Cookie", cookie));
        let response = request.send().await.expect("the edge answers");
        let set = response.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let set = set.and_then(|value| value.split(';').next()).map(str::to_owned);
        (response.text().await.expect("a body"), set)
    };
    let session = loop {
        match ask(None).await {
            (name, Some(cookie)) if name == "api-dijon-1" => break cookie,
            _ => {}
        }
    };
    for _ in 0..10 {
        assert_eq!(ask(Some(&session)).await.0, "api-dijon-1", "the session is bound");
    }
    let address = backends[0].address();
    let (ip, port) = (address.ip(), address.port());
    let text = format!("service: api\nname: api-dijon-1\nsite: dijon\naddr: {ip}\nport: {port}\nstate: drain\n");
    world.write("backends/api-dijon-1.yaml", &text);
    let id = world.commit_and_push("Drain a backend");
    world.wait_for_revision(&id).await;
    let (name, moved) = ask(Some(&session)).await;
    assert_ne!(name, "api-dijon-1");
    assert!(moved.is_some_and(|moved| moved != session), "it is bound to another one now");
    for _ in 0..30 {
        assert_ne!(ask(None).await.0, "api-dijon-1");
    }
}

/// Where bascule may end connections, nothing outlives the time to drain. Where it may not, it says so, and they go on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_after_the_time_to_drain_is_ended_where_that_may_be() {
    let mut streams = Streams::open(&["--sever", "on"]).await;
    let status = streams.world.wait_for("what becomes of connections", |status| status.sever.is_some()).await;
    let began = streams.commit("state: drain").await;
    match status.sever {
        Some(SeverDto::On { .. }) => {
            while timeout(PATIENCE, streams.events.chunk()).await.expect("it ends in time").is_ok_and(|it| it.is_some())
            {
            }
            let took = began.elapsed();
            println!("the event stream ended {took:?} after the push");
            assert!(took + Duration::from_secs(2) > DRAIN, "{took:?}");
            let is_told = |status: &StatusDto| matches!(status.sever, Some(SeverDto::On { connections: 1.. }));
            streams.world.wait_for("ended connections", is_told).await;
            streams.world.wait_for("nothing open", |status| status.edges[0].leaving.is_empty()).await;
        }
        Some(SeverDto::Unable { reason }) => {
            assert!(reason.contains("CAP_NET_ADMIN") || reason.contains("kernel"), "{reason}");
            end_of(&mut streams.socket, began).await;
            streams.expect_event(1).await;
        }
        None => panic!("it was asked for"),
    }
}
