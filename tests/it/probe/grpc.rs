//! gRPC health checks, of a real server over HTTP/2.

use std::net::Ipv4Addr;
use std::time::Duration;

use bascule::core::health::{Failure, Outcome, Report};
use bascule::core::inventory::{GrpcProbe, Probe, ProbeKind, SecretText};
use bascule::probe::ProbeTarget;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::rig::{Rig, hostname, outcome_of, set, target, timing_out};
use super::server::{Greeting, Refusing};
use super::tls::{acceptor, pair, tls};
use crate::support::grpc::{GrpcBackend, Health};

fn grpc(service: &str) -> ProbeKind {
    ProbeKind::Grpc(GrpcProbe { service: service.to_owned(), ..GrpcProbe::default() })
}

async fn backend() -> GrpcBackend {
    GrpcBackend::start("api-1", Ipv4Addr::LOCALHOST, None).await
}

/// What one probe says of a server that answers like this.
async fn words_of(health: Health) -> String {
    let backend = backend().await;
    backend.answer(health);
    match outcome_of(target(backend.address(), grpc("acecinema.v1.Tickets"))).await {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Fail(failure) => failure.to_string(),
    }
}

#[tokio::test]
async fn a_serving_server_passes_over_one_connection() {
    let backend = backend().await;
    let headers = [("X-Probe".to_owned(), SecretText::from("yes"))].into();
    let kind = GrpcProbe {
        service: "acecinema.v1.Tickets".to_owned(),
        host: Some(hostname("tickets.acecinema.fr")),
        headers,
        tls: None,
    };
    let mut rig = Rig::start(set([("api-1", target(backend.address(), ProbeKind::Grpc(kind)))]));
    assert!(rig.take(10).await.iter().all(|sample| sample.outcome.is_pass()));
    let seen = backend.seen();
    assert_eq!(seen.connections, 1);
    let (request, message) = &seen.calls[0];
    let uri = "http://tickets.acecinema.fr/grpc.health.v1.Health/Check";
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", uri));
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("x-probe", "yes")] {
        assert_eq!(request.headers().get(name).and_then(|it| it.to_str().ok()), Some(value), "{name}");
    }
    assert_eq!(message[..7], [0, 0, 0, 0, 22, 0x0a, 20]);
    assert_eq!(message[7..], *b"acecinema.v1.Tickets");
}

#[tokio::test]
async fn whatever_else_it_tells_fails_in_words() {
    let odd = |status, head: &[_], body, end| Health::Odd { status, head: head.to_vec(), body, end };
    for (health, words) in [
        (Health::Tells(1), "pass"),
        (Health::Tells(0), "answered UNKNOWN"),
        (Health::Tells(2), "answered NOT_SERVING"),
        (Health::Tells(3), "answered SERVICE_UNKNOWN: it knows no service `acecinema.v1.Tickets`"),
        (Health::Ends("5", "unknown service"), "answered NOT_FOUND: it knows no service `acecinema.v1.Tickets`"),
        (Health::Ends("12", "no such method"), "answered UNIMPLEMENTED: it has no gRPC health service"),
        (Health::Ends("14", "warming%20up"), "answered UNAVAILABLE: `warming up`"),
        (odd(200, &[], &[0, 0, 0, 0, 2, 8, 1], Some("13")), "answered INTERNAL"),
        (odd(503, &[], b"no", None), "answered 503"),
        (
            odd(200, &[("content-type", "text/html")], b"hello", None),
            "bad answer: no gRPC: its content type is `text/html`",
        ),
        (odd(200, &[], &[0, 0, 0, 0, 2, 8, 1], None), "bad answer: no gRPC: the answer ended without `grpc-status`"),
        (odd(200, &[], b"", Some("0")), "bad answer: no message"),
        (odd(200, &[], &[0; 5000], Some("0")), "bad answer: no gRPC health: the answer is longer than 4 KiB"),
    ] {
        assert_eq!(words_of(health.clone()).await, words, "{health:?}");
    }
}

#[tokio::test]
async fn an_unwell_server_is_asked_over_the_same_connection() {
    let backend = backend().await;
    let mut rig = Rig::start(set([("api-1", target(backend.address(), grpc("")))]));
    for health in [Health::Tells(1), Health::Tells(2), Health::Ends("14", ""), Health::Tells(1)] {
        backend.answer(health);
        // One probe may have been on its way.
        rig.take(3).await;
    }
    assert!(rig.sample().await.outcome.is_pass());
    let seen = backend.seen();
    assert_eq!((seen.connections, &seen.calls[0].1), (1, &vec![0; 5]));
}

#[tokio::test]
async fn a_connection_that_the_server_gave_up_is_made_anew() {
    let backend = backend().await;
    backend.answer(Health::GoesAway);
    let mut rig = Rig::start(set([("api-1", target(backend.address(), grpc("")))]));
    let samples = rig.take(5).await;
    assert!(samples.iter().all(|sample| sample.outcome.is_pass()), "{samples:?}");
    assert!(backend.seen().connections >= 5, "each connection is for one call");

    backend.answer(Health::Tells(1));
    rig.take(2).await;
    let before = backend.seen().connections;
    // Between two probes, or in the midst of one.
    backend.hang_up();
    let samples = rig.take(3).await;
    assert!(samples.iter().all(|sample| sample.outcome.is_pass()), "{samples:?}");
    assert_eq!(backend.seen().connections, before + 1);
}

#[tokio::test]
async fn silence_times_out() {
    let backend = backend().await;
    backend.answer(Health::Hangs);
    let outcome = outcome_of(timing_out(backend.address(), grpc(""), Duration::from_millis(200))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Timeout));
    let refusing = Refusing::new();
    let outcome = outcome_of(target(refusing.address, grpc(""))).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Refused(why)) if why.contains("refused")), "{outcome:?}");
}

#[tokio::test]
async fn a_server_of_http1_is_told_as_such() {
    let server = Greeting::start("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let outcome = outcome_of(target(server.address, grpc(""))).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Protocol(why)) if why.starts_with("no HTTP/2")), "{outcome:?}");
    // Many hang up on what they do not understand.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_exact(&mut [0; 8]).await.ok();
        }
    });
    let outcome = outcome_of(target(address, grpc(""))).await;
    server.abort();
    assert!(matches!(&outcome, Outcome::Fail(Failure::Protocol(why)) if why.contains("HTTP/2")), "{outcome:?}");
}

#[tokio::test]
async fn a_slow_answer_and_a_report_count_as_with_http() {
    let backend = backend().await;
    let head = vec![("bascule-report", "drain")];
    backend.answer(Health::Odd { status: 200, head, body: &[0, 0, 0, 0, 2, 8, 1], end: Some("0") });
    let target = target(backend.address(), grpc(""));
    let probe = Probe { report: true, latency: Some(Duration::ZERO), ..target.probe };
    let sample = Rig::start(set([("api-1", ProbeTarget { probe, ..target })])).sample().await;
    assert!(matches!(sample.outcome, Outcome::Fail(Failure::Slow { .. })), "{sample:?}");
    assert_eq!(sample.told.report, Some(Report { drains: true, percent: None }));
}

#[tokio::test]
async fn over_tls_http2_is_agreed_on() {
    let pair = pair("api.acecinema.fr", None);
    let kind = |verify| {
        let host = Some(hostname("api.acecinema.fr"));
        ProbeKind::Grpc(GrpcProbe { host, tls: Some(tls(None, verify)), ..GrpcProbe::default() })
    };
    let backend = GrpcBackend::start("api-1", Ipv4Addr::LOCALHOST, Some(acceptor(&pair, &["h2"]))).await;
    let mut rig = Rig::start(set([("api-1", target(backend.address(), kind(false)))]));
    let samples = rig.take(5).await;
    assert!(samples.iter().all(|sample| sample.outcome.is_pass()), "{samples:?}");
    assert!(samples[0].told.certificate_ends.is_some());
    let seen = backend.seen();
    assert_eq!((seen.connections, seen.calls[0].0.uri().scheme_str()), (1, Some("https")));
    let outcome = outcome_of(target(backend.address(), kind(true))).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Tls(why)) if why.contains("self-signed")), "{outcome:?}");
    // One that has TLS and says nothing of HTTP/2.
    let old = GrpcBackend::start("api-1", Ipv4Addr::LOCALHOST, Some(acceptor(&pair, &[]))).await;
    let outcome = outcome_of(target(old.address(), kind(false))).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Tls(why)) if why.contains("ALPN")), "{outcome:?}");
}
