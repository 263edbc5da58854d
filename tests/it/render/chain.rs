//! What clients get from a chain of links, of a real Caddy and real backends, without a controller.

use std::net::Ipv4Addr;

use bascule::core::health::Verdict;
use bascule::core::inventory::Desired;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::support::caddy::{Boot, Caddy};
use crate::support::http::{Behaviour, HttpBackend};
use crate::support::inventory::{Texts, desired, merge, observed, render};
use crate::support::port::ReservedPort;
use crate::support::wait::{SOON, wait_for};

/// One service with backends `dijon-1`, `dijon-2` and `thory-1`, behind a Caddy whose relay has nobody to ask.
struct Edge {
    caddy: Caddy,
    public: ReservedPort,
    relay: [ReservedPort; 2],
    backends: Vec<HttpBackend>,
    client: reqwest::Client,
}

impl Edge {
    async fn start(routing: &str) -> Self {
        Self::start_weighted(routing, [1; 3]).await
    }

    async fn start_weighted(routing: &str, weights: [u16; 3]) -> Self {
        let mut backends = Vec::new();
        for (name, site, number) in [("dijon-1", 1, 1), ("dijon-2", 1, 2), ("thory-1", 2, 1)] {
            backends.push(HttpBackend::start_on(name, Ipv4Addr::new(127, site, 0, number)).await);
        }
        let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let relay = [ReservedPort::take(), ReservedPort::take()];
        let boot = Boot { config: Some(json!({"apps": {}})), ..Boot::default() };
        let caddy = Caddy::start_with(boot).await;
        let edge = Self { caddy, public: ReservedPort::take(), relay, backends, client };
        let desired = edge.desired(routing, weights);
        let effective = merge(&desired, &observed(&desired, |_| Verdict::Up));
        let config = render(&effective, desired.edges.values().next().expect("an edge")).config();
        edge.caddy.access().write_apps(&config["apps"]).await;
        edge
    }

    fn desired(&self, routing: &str, weights: [u16; 3]) -> Desired {
        let [bascule, listen] = self.relay.each_ref().map(ReservedPort::get);
        let edges = format!(
            "{{name: ovh, admin: '{}', listen: [':{}'], tls: {{mode: off}}, \
             relay: {{bascule: '127.0.0.1:{bascule}', listen: '127.0.0.1:{listen}'}}}}",
            self.caddy.address(),
            self.public.get()
        );
        let health = "{path: /health, interval: 200ms, timeout: 200ms, rise: 1}";
        let services = format!("{{name: www, domains: [www.acecinema.fr], health: {health}, routing: {routing}}}");
        let document = |(backend, weight): (&HttpBackend, u16)| {
            let site = if backend.name().starts_with('d') { "dijon" } else { "thory" };
            let (name, ip, port) = (backend.name(), backend.ip(), backend.port());
            format!("{{service: www, name: {name}, site: {site}, addr: {ip}, port: {port}, weight: {weight}}}")
        };
        let backends: Vec<_> = self.backends.iter().zip(weights).map(document).collect();
        desired(Texts { edges: &edges, services: &services, backends: &backends.join("\n---\n") })
    }

    fn all(&self, behaviour: Behaviour) {
        self.backends.iter().for_each(|backend| backend.behave(behaviour));
    }

    async fn send(&self, method: Method, body: Option<usize>) -> Response {
        let url = format!("http://127.0.0.1:{}/page", self.public.get());
        let request = self.client.request(method, url).header("Host", "www.acecinema.fr");
        let request = match body {
            Some(bytes) => request.body(vec![b'x'; bytes]),
            None => request,
        };
        request.send().await.expect("the edge answers")
    }

    /// Status and the backend's name.
    async fn get(&self) -> (StatusCode, String) {
        let response = self.send(Method::GET, None).await;
        (response.status(), response.text().await.expect("an answer has a text"))
    }

    /// Waits until Caddy's checks have found every backend to be as it is.
    async fn wait_until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        wait_for(what, SOON, || async { is_so().await.then_some(()) }).await;
    }
}

const TIERS: &str = "{policy: priority, sites: [dijon, thory]}";

#[tokio::test]
async fn the_next_tier_takes_the_first_request_with_its_body() {
    let mut edge = Edge::start(TIERS).await;
    for backend in &mut edge.backends[..2] {
        backend.stop().await;
    }
    // At once: no check has found anything yet.
    let response = edge.send(Method::POST, Some(300_000)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-received"], "300000");
    assert_eq!(response.headers()["x-backend"], "thory-1");
    assert_eq!(edge.get().await, (StatusCode::OK, "thory-1".to_owned()));
}

#[tokio::test]
async fn a_tier_is_left_and_taken_again_by_caddys_own_checks() {
    let edge = Edge::start(TIERS).await;
    let asked = async |name: &str| edge.get().await.1 == name;
    edge.backends[0].behave(Behaviour::Unwell);
    edge.backends[1].behave(Behaviour::Unwell);
    edge.wait_until("thory to serve", || asked("thory-1")).await;
    edge.backends[1].behave(Behaviour::Ok);
    edge.wait_until("dijon to serve", || asked("dijon-2")).await;
}

#[tokio::test]
async fn one_backend_that_refuses_is_never_seen() {
    let edge = Edge::start("{policy: spread}").await;
    edge.backends[0].behave(Behaviour::Status(503));
    for _ in 0..40 {
        assert_eq!(edge.get().await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_an_application_says_itself_arrives_as_it_said_it() {
    let edge = Edge::start("{policy: spread}").await;
    for status in [502, 503, 504] {
        edge.all(Behaviour::Status(status));
        let (seen, name) = edge.get().await;
        assert_eq!(seen, status);
        assert!(edge.backends.iter().any(|backend| backend.name() == name), "the body is lost: {name:?}");
        let response = edge.send(Method::POST, Some(10)).await;
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key("x-backend"), "the headers are lost");
    }
}

/// Shares of 2,000 requests, in per cent, by backend.
async fn shares(edge: &Edge) -> Vec<f64> {
    let before: Vec<_> = edge.backends.iter().map(|backend| backend.requests_to("/page")).collect();
    for _ in 0..2000 {
        assert_eq!(edge.get().await.0, StatusCode::OK);
    }
    let got = edge.backends.iter().zip(before).map(|(backend, before)| backend.requests_to("/page") - before);
    got.map(|requests| f64::from(u32::try_from(requests).expect("a few")) / 20.0).collect()
}

#[track_caller]
fn assert_close(shares: &[f64], expected: &[f64]) {
    let is_close = shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 2.0);
    assert!(is_close, "{shares:?}, not {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_hold_whoever_is_down() {
    let edge = Edge::start_weighted("{policy: spread}", [3, 1, 2]).await;
    assert_close(&shares(&edge).await, &[50.0, 100.0 / 6.0, 100.0 / 3.0]);
    edge.backends[2].behave(Behaviour::Unwell);
    let is_left = async || {
        let before = edge.backends[2].requests_to("/page");
        for _ in 0..20 {
            edge.get().await;
        }
        edge.backends[2].requests_to("/page") == before
    };
    edge.wait_until("the third to be left alone", is_left).await;
    assert_close(&shares(&edge).await, &[75.0, 25.0, 0.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_hold_in_a_tier_and_in_the_next() {
    let mut edge = Edge::start_weighted("{policy: priority, sites: [thory, dijon]}", [3, 1, 1]).await;
    assert_close(&shares(&edge).await, &[0.0, 0.0, 100.0]);
    edge.backends[2].stop().await;
    assert_close(&shares(&edge).await, &[75.0, 25.0, 0.0]);
}

#[tokio::test]
async fn a_post_that_was_sent_is_not_sent_again() {
    let edge = Edge::start("{policy: spread}").await;
    edge.all(Behaviour::Close);
    let requests = || edge.backends.iter().map(|backend| backend.requests_to("/page")).sum::<u64>();
    let before = requests();
    let response = edge.send(Method::POST, Some(10)).await;
    assert_eq!(response.status(), 502);
    assert_eq!(requests() - before, 1, "who knows what became of the first");
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_waited_for_longer() {
    let edge = Edge::start("{policy: spread}, timeouts: {response: 100ms, response_unsafe: 30s}").await;
    let is_named = async |method, body| {
        let response = edge.send(method, body).await;
        (response.status(), response.headers().contains_key("x-backend"))
    };
    assert_eq!(is_named(Method::POST, Some(10)).await, (StatusCode::OK, true));
    assert_eq!(is_named(Method::GET, None).await, (StatusCode::OK, true));
    edge.all(Behaviour::Hang);
    let patient = async { is_named(Method::POST, Some(300_000)).await };
    let hurried = async {
        let answer = is_named(Method::GET, None).await;
        edge.all(Behaviour::Ok);
        answer
    };
    let (post, get) = tokio::join!(patient, hurried);
    assert_eq!(get, (StatusCode::GATEWAY_TIMEOUT, false), "every backend was asked in vain");
    assert_eq!(post, (StatusCode::OK, true), "it came once the backend was well");
}

#[tokio::test]
async fn what_cannot_be_sent_again_goes_on_where_nothing_was_sent() {
    let routing = format!("{TIERS}, timeouts: {{response: 1s, response_unsafe: 30s}}");
    let mut edge = Edge::start(&routing).await;
    for backend in &mut edge.backends[..2] {
        backend.stop().await;
    }
    let response = edge.send(Method::POST, Some(300_000)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-backend"], "thory-1");
    edge.backends[2].stop().await;
    edge.backends[1].start_again().await;
    // Whatever is believed: no check has found the one or the other yet, or they have.
    let response = edge.send(Method::POST, Some(300_000)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-backend"], "dijon-2");
}

#[tokio::test]
async fn when_checks_fail_everywhere_all_are_tried() {
    let edge = Edge::start(TIERS).await;
    edge.all(Behaviour::Unwell);
    // Long enough for every check to fail; and nobody notices.
    for _ in 0..150 {
        assert_eq!(edge.get().await.0, StatusCode::OK);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_page_is_shown_as_it_was_written() {
    let html = "<style>p {color: red}</style>{http.request.host} {env.HOME";
    let routing = format!("{{when_all_down: page, page: {{status: 503, retry_after: 2m, html: '{html}'}}}}");
    let mut edge = Edge::start(&routing).await;
    for backend in &mut edge.backends {
        backend.stop().await;
    }
    let response = edge.send(Method::GET, None).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "120");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.text().await.expect("a page"), html);
}

#[tokio::test]
async fn a_cookie_keeps_a_client_at_its_backend_until_that_one_goes() {
    let mut edge = Edge::start("{sticky: cookie}").await;
    let response = edge.send(Method::GET, None).await;
    let cookie = response.headers()["set-cookie"].to_str().expect("text").to_owned();
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    assert!(cookie.starts_with("bascule_www="), "{cookie}");
    let first = response.text().await.expect("a name");
    let ask = async |edge: &Edge| {
        let url = format!("http://127.0.0.1:{}/", edge.public.get());
        let request = edge.client.get(url).header("Host", "www.acecinema.fr").header("Cookie", &cookie);
        request.send().await.expect("the edge answers").text().await.expect("a name")
    };
    for _ in 0..10 {
        assert_eq!(ask(&edge).await, first);
    }
    let index = edge.backends.iter().position(|backend| backend.name() == first).expect("a backend");
    edge.backends[index].stop().await;
    assert_ne!(ask(&edge).await, first);
}
