//! What passes through an edge that bascule configured, and what does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Certificate, Response, StatusCode, redirect};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::talker::Talker;
use super::world::{DOMAIN, PATIENCE, World, backend};
use crate::support::port::ReservedPort;
use crate::support::wait::wait_for;

/// A world whose service is a backend that streams.
async fn talking() -> (World, Talker) {
    let mut world = World::new().await;
    let talker = Talker::start_on(Ipv4Addr::new(127, 0, 1, 1)).await;
    world.write_service("api", DOMAIN);
    world.write_backend_at("api", "api-dijon-1", talker.address());
    let id = world.commit_and_push("Declare a service");
    world.start();
    world.wait_for_revision(&id).await;
    (world, talker)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .expect("a client can be made")
}

async fn ask(port: u16, host: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = client().get(format!("http://127.0.0.1:{port}/where?a=b")).header("Host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the edge answers")
}

/// Sends over a WebSocket and waits for the echo.
async fn echo(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    socket.send(Message::text(text)).await.expect("the socket is open");
    let answer = timeout(PATIENCE, socket.next()).await.expect("an echo in time");
    assert_eq!(answer.expect("the socket is open").expect("a message"), Message::text(text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_and_survives_pushes_to_its_own_service() {
    let (world, _talker) = talking().await;
    let stream = TcpStream::connect(("127.0.0.1", world.edge_port())).await.expect("the edge listens");
    let request = format!("ws://{DOMAIN}/socket").into_client_request().expect("a request");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
    echo(&mut socket, "before").await;

    let added = backend("api-thory-1", 2, 1).await;
    world.write_backend("api", &added);
    let id = world.commit_and_push("Add a backend");
    let status = world.wait_for_revision(&id).await;
    assert!(status.edges[0].pushes >= 2, "nothing was pushed");
    echo(&mut socket, "after a push").await;

    world.remove("backends/api-dijon-1.yaml");
    let id = world.commit_and_push("Take its backend out");
    world.wait_for_revision(&id).await;
    echo(&mut socket, "after its backend has left").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_pass_one_by_one_and_go_on_after_a_push() {
    let (world, talker) = talking().await;
    let url = format!("http://127.0.0.1:{}/events", world.edge_port());
    let mut events = client().get(url).header("Host", DOMAIN).send().await.expect("the edge answers");
    let mut expect = async |text: &str| {
        let chunk = timeout(PATIENCE, events.chunk()).await.expect("an event in time").expect("the stream goes on");
        assert_eq!(chunk.expect("the stream is open"), text);
    };
    expect("data: 0\n\n").await;
    talker.send_event(1);
    expect("data: 1\n\n").await;
    let added = backend("api-thory-1", 2, 1).await;
    world.write_backend("api", &added);
    let id = world.commit_and_push("Add a backend");
    world.wait_for_revision(&id).await;
    talker.send_event(2);
    expect("data: 2\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_declared_is_refused_and_not_cached() {
    let (world, _talker) = talking().await;
    for host in ["nobody.acecinema.fr", "127.0.0.1"] {
        let response = ask(world.edge_port(), host, &[]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{host}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_told_who_asks_and_not_what_they_claim() {
    let (world, _talker) = talking().await;
    let spoofed = [
        ("X-Forwarded-For", "203.0.113.66"),
        ("X-Forwarded-Host", "evil.example.org"),
        ("X-Forwarded-Proto", "gopher"),
    ];
    let response = ask(world.edge_port(), DOMAIN, &spoofed).await;
    assert_eq!(response.status(), StatusCode::OK);
    let head = response.text().await.expect("a body").to_ascii_lowercase();
    let values = |name: &str| -> Vec<String> {
        let values = head.lines().filter_map(|line| line.split_once(": ")).filter(|(key, _)| *key == name);
        values.map(|(_, value)| value.to_owned()).collect()
    };
    assert!(head.starts_with("get /where?a=b "), "{head}");
    assert_eq!(values("host"), [DOMAIN]);
    assert_eq!(values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values("x-forwarded-host"), [DOMAIN]);
    assert_eq!(values("x-forwarded-proto"), ["http"]);
    for (_, value) in spoofed {
        assert!(!head.contains(value), "{value} was passed on:\n{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_with_its_own_authority_serves_https_and_redirects_plain_http() {
    let (world, _talker) = talking().await;
    let secure = ReservedPort::take();
    let (plain, secure, admin) = (world.edge_port(), secure.get(), world.caddy.address());
    let edge = format!(
        "name: ovh\nadmin: {admin}\nlisten: [\"https://127.0.0.1:{secure}\", \"http://127.0.0.1:{plain}\"]\n\
         tls: {{ mode: internal }}\n{}",
        world.relay_line()
    );
    world.write("edges/ovh.yaml", &edge);
    let id = world.commit_and_push("Speak TLS");
    world.wait_for_revision(&id).await;

    let root = world.caddy.dir().join("data/caddy/pki/authorities/local/root.crt");
    let root = wait_for("Caddy's authority", PATIENCE, || async { std::fs::read(&root).ok() }).await;
    let root = Certificate::from_pem(&root).expect("a certificate");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .resolve(DOMAIN, SocketAddr::from(([127, 0, 0, 1], secure)))
        .timeout(Duration::from_secs(5))
        .build()
        .expect("a client can be made");
    // The certificate is made after the configuration is loaded.
    let url = format!("https://{DOMAIN}:{secure}/where?a=b");
    let response = wait_for("a certificate", PATIENCE, || async { client.get(&url).send().await.ok() }).await;
    assert_eq!(response.status(), StatusCode::OK);
    let head = response.text().await.expect("a body").to_ascii_lowercase();
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");

    let response = ask(plain, DOMAIN, &[]).await;
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()["location"], format!("https://{DOMAIN}:{secure}/where?a=b").as_str());
    let response = ask(plain, "nobody.acecinema.fr", &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "no redirect to a host that has no certificate");
}
