use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use bascule::core::health::{Failure, Outcome, Report};
use bascule::core::inventory::{HttpProbe, Probe, ProbeKind, ProbeMethod, SecretText};
use bascule::core::model::Timestamp;
use bascule::probe::{ProbeTarget, ProberSettings, Secrets};
use tokio::net::TcpListener;

use super::rig::{DEADLINE, OK, Rig, every, http, http_with, outcome_of, question, set, settings, target, timing_out};
use super::server::{Act, Refusing, Server};

/// Asks a server that does this with every request.
async fn after(acts: Vec<Act>) -> Outcome {
    let server = Server::start(move |_| acts.clone()).await;
    outcome_of(target(server.address, http())).await
}

fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn the_status_decides() {
    for (expect, status, passes) in [
        (&["200-299"][..], 200, true),
        (&["200-299"], 299, true),
        (&["200-299"], 204, true),
        (&["200-299"], 300, false),
        (&["200-299"], 503, false),
        (&["204"], 200, false),
        (&["200", "401-403"], 402, true),
        (&["200", "401-403"], 404, false),
    ] {
        let server = Server::answering(format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\n\r\n")).await;
        let outcome = outcome_of(target(server.address, http_with(None, None, expect))).await;
        let expected = if passes { Outcome::Pass } else { Outcome::Fail(Failure::Status(status)) };
        assert_eq!(outcome, expected, "{expect:?} {status}");
    }
}

#[tokio::test]
async fn the_request_is_as_declared() {
    let server = Server::answering(OK).await;
    assert_eq!(
        outcome_of(target(server.address, http_with(Some("api.acecinema.fr"), None, &["200"]))).await,
        Outcome::Pass
    );
    let request = server.seen().requests.remove(0);
    let agent = concat!("user-agent: bascule/", env!("CARGO_PKG_VERSION"), "\r\n");
    assert!(request.starts_with("GET /health?full=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: api.acecinema.fr\r\n"), "{request}");
    assert!(request.contains(agent), "{request}");

    let server = Server::answering(OK).await;
    assert_eq!(outcome_of(target(server.address, http())).await, Outcome::Pass);
    let request = server.seen().requests.remove(0);
    assert!(request.contains(&format!("host: {}\r\n", server.address)), "{request}");
}

#[tokio::test]
async fn method_and_headers_are_as_declared() {
    for (method, name) in [(ProbeMethod::Get, "GET"), (ProbeMethod::Head, "HEAD"), (ProbeMethod::Options, "OPTIONS")] {
        // The answer to HEAD has the length of a body and none of it: whoever waited for it would time out.
        let body = if method == ProbeMethod::Head { "" } else { "ok\n" };
        let server = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}")).await;
        let headers = [("X-Probe", "a b"), ("accept", "text/plain")];
        let headers = headers.map(|(name, value)| (name.to_owned(), SecretText::from(value))).into();
        let kind = ProbeKind::Http(HttpProbe { method, headers, ..question() });
        let mut rig = Rig::start(set([("api-1", target(server.address, kind))]));
        assert!(rig.take(3).await.iter().all(|sample| sample.outcome.is_pass()), "{name}");
        let seen = server.seen();
        assert_eq!(seen.connections, 1, "{name}");
        let request = seen.requests.first().expect("a request");
        assert!(request.starts_with(&format!("{name} /health?full=1 HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("x-probe: a b\r\n") && request.contains("accept: text/plain\r\n"), "{request}");
        assert!(!request.contains("*/*"), "what is declared stands in the place of the default: {request}");
    }
}

#[tokio::test]
async fn a_secret_is_sent_where_it_is_allowed_and_a_renewed_one_at_the_next_probe() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").expect("a file");
    let text: SecretText = format!("Bearer ${{file:{}}}", file.display()).parse().expect("a text");
    let headers = [("Authorization".to_owned(), text)].into();
    let kind = ProbeKind::Http(HttpProbe { headers, ..question() });
    let server = Server::answering(OK).await;
    let probed = || set([("api-1", target(server.address, kind.clone()))]);

    let allowed = format!("file:{}/", folder.path().display()).parse().expect("a folder");
    let settings_with = ProberSettings { secrets: Secrets::new([allowed]), ..settings() };
    let mut rig = Rig::start_with(settings_with, 1, probed());
    assert!(rig.sample().await.outcome.is_pass());
    std::fs::write(&file, "n3w").expect("a file");
    rig.take(3).await;
    drop(rig);
    let requests = server.seen().requests.clone();
    assert!(requests[0].contains("authorization: Bearer s3cret\r\n"), "{}", requests[0]);
    assert!(requests.last().is_some_and(|last| last.contains("authorization: Bearer n3w\r\n")), "{requests:?}");

    let mut rig = Rig::start(probed());
    let Outcome::Fail(Failure::Prober(why)) = rig.sample().await.outcome else { panic!("nothing is allowed") };
    assert!(why.contains("is not allowed: start bascule with `--allow-secret file:"), "{why}");
    assert_eq!(server.seen().requests.len(), requests.len(), "nothing was sent");
}

#[tokio::test]
async fn too_slow_is_a_failure_of_its_own() {
    let limited = |address, limit| {
        let target = target(address, http());
        ProbeTarget { probe: Probe { latency: Some(limit), ..target.probe }, ..target }
    };
    // 45 bytes, 10 ms apart.
    let server = Server::start(|_| vec![Act::Drip(OK.as_bytes().to_vec())]).await;
    let limit = Duration::from_millis(300);
    let mut rig = Rig::start(set([("api-1", limited(server.address, limit))]));
    let samples = rig.take(2).await;
    for sample in &samples {
        let Outcome::Fail(Failure::Slow { took_ms, limit_ms }) = sample.outcome else { panic!("{sample:?}") };
        assert!(limit_ms == 300 && took_ms > 300 && sample.latency > limit, "{sample:?}");
    }
    assert_eq!(server.seen().connections, 1, "the connection is good");
    assert_eq!(outcome_of(limited(server.address, DEADLINE)).await, Outcome::Pass);
    // What does not pass anyway is told as what it is.
    let wrong = Server::start(|_| vec![Act::Drip(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n".to_vec())]).await;
    assert_eq!(outcome_of(limited(wrong.address, Duration::from_millis(1))).await, Outcome::Fail(Failure::Status(503)));
}

#[tokio::test]
async fn a_report_is_heard_where_it_is_asked_for() {
    let drains = Report { drains: true, percent: None };
    let half = Report { drains: false, percent: Some(50) };
    for (report, status, header, expected) in [
        (true, 200, "bascule-report: drain\r\n", Some(drains)),
        (true, 503, "Bascule-Report: later, DRAIN\r\n", Some(drains)),
        (true, 200, "bascule-report: weight=50%\r\n", Some(half)),
        (true, 200, "", Some(Report::default())),
        (false, 200, "bascule-report: drain\r\n", None),
    ] {
        let server = Server::answering(format!("HTTP/1.1 {status} It\r\n{header}content-length: 0\r\n\r\n")).await;
        let target = target(server.address, http());
        let target = ProbeTarget { probe: Probe { report, ..target.probe }, ..target };
        let sample = Rig::start(set([("api-1", target)])).sample().await;
        assert_eq!(sample.told.report, expected, "{report} {status} {header}");
    }
    let silent = Refusing::new();
    let target = target(silent.address, http());
    let target = ProbeTarget { probe: Probe { report: true, ..target.probe }, ..target };
    assert_eq!(Rig::start(set([("api-1", target)])).sample().await.told.report, None, "nobody said anything");
}

#[tokio::test]
async fn nobody_listens() {
    let refusing = Refusing::new();
    let outcome = outcome_of(target(refusing.address, http())).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Refused(why)) if why.contains("refused")), "{outcome:?}");
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    for (what, acts, is_expected) in [
        ("reset at once", vec![Act::Reset], (|it| matches!(it, Failure::Refused(_))) as fn(&Failure) -> bool),
        ("closed at once", vec![Act::Close], |it| matches!(it, Failure::Protocol(_))),
        ("closed in the head", vec![send("HTTP/1.1 200 OK\r\ncont"), Act::Close], |it| {
            matches!(it, Failure::Protocol(_))
        }),
        ("closed in the body", vec![send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), Act::Close], |it| {
            matches!(it, Failure::Protocol(_))
        }),
        ("not HTTP", vec![send("SSH-2.0-OpenSSH_9.9\r\n"), Act::Hang], |it| matches!(it, Failure::Protocol(_))),
        ("bad length", vec![send("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), Act::Hang], |it| {
            matches!(it, Failure::Protocol(_))
        }),
    ] {
        match after(acts).await {
            Outcome::Fail(failure) => assert!(is_expected(&failure), "{what}: {failure:?}"),
            Outcome::Pass => panic!("{what}: passes"),
        }
    }
}

#[tokio::test]
async fn a_reset_in_the_body_is_a_broken_answer() {
    // The reset may not overtake the head, so it waits until the probe has had time to read that: the body's first bytes
    // come 10 ms apart.
    let head = send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n");
    let outcome = after(vec![head, Act::Drip(b"0123456789".to_vec()), Act::Reset]).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Protocol(why)) if why.contains("broke off")), "{outcome:?}");
}

#[tokio::test]
async fn the_timeout_is_on_the_whole_probe() {
    let drip = |head: &str| [head.as_bytes(), &[b'x'; 5_000]].concat();
    for (what, acts) in [
        ("never answers", vec![Act::Hang]),
        ("drips the head", vec![Act::Drip(drip("HTTP/1.1 200 OK\r\nx-long: "))]),
        ("drips the body", vec![Act::Drip(drip("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"))]),
        ("answers half and waits", vec![send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx"), Act::Hang]),
    ] {
        let server = Server::start(move |_| acts.clone()).await;
        let timeout = Duration::from_millis(600);
        let mut rig = Rig::start(set([("api-1", timing_out(server.address, http(), timeout))]));
        let sample = rig.sample().await;
        assert_eq!(sample.outcome, Outcome::Fail(Failure::Timeout), "{what}");
        assert!(sample.latency >= timeout && sample.latency < timeout * 5, "{what}: {:?}", sample.latency);
    }
}

#[tokio::test]
async fn a_bad_status_says_more_than_its_body() {
    let acts = vec![send("HTTP/1.1 503 No\r\ncontent-length: 50\r\n\r\nhalf"), Act::Hang];
    let server = Server::start(move |_| acts.clone()).await;
    let outcome = outcome_of(timing_out(server.address, http(), Duration::from_millis(200))).await;
    assert_eq!(outcome, Outcome::Fail(Failure::Status(503)));
}

#[tokio::test]
async fn redirects_are_answers() {
    let mut elsewhere = Server::answering(OK).await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let server = Server::answering(redirect).await;
    assert_eq!(outcome_of(target(server.address, http())).await, Outcome::Fail(Failure::Status(302)));
    // Whoever is asked at all is asked for itself: a marker that comes after every request that might have followed.
    assert_eq!(
        outcome_of(target(elsewhere.address, http_with(Some("marker.example.org"), None, &["200"]))).await,
        Outcome::Pass
    );
    let requests = elsewhere.wait(|seen| !seen.requests.is_empty()).await.requests;
    assert!(requests.iter().all(|request| request.contains("marker")), "{requests:?}");
}

#[tokio::test]
async fn one_connection_serves_many_probes() {
    for answer in [
        OK.to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 16384\r\n\r\n{}", "x".repeat(16_384)),
    ] {
        let head = answer.lines().nth(1).expect("a header").to_owned();
        let server = Server::answering(answer).await;
        let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
        assert!(rig.take(10).await.iter().all(|sample| sample.outcome.is_pass()), "{head}");
        assert_eq!(server.seen().connections, 1, "{head}");
    }
}

#[tokio::test]
async fn a_connection_that_must_not_be_used_again_is_not() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nok\n".to_owned(),
        "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nok\n".to_owned(),
        format!("{OK}HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{}", "x".repeat(100_000)),
    ] {
        let head = answer.lines().take(4).collect::<String>();
        let server = Server::answering(answer).await;
        let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
        assert!(rig.take(4).await.iter().all(|sample| sample.outcome.is_pass()), "{head}");
        assert!(server.seen().connections >= 4, "{head}");
    }
}

#[tokio::test]
async fn an_answer_may_end_with_its_connection() {
    let acts = vec![send("HTTP/1.1 200 OK\r\n\r\nok"), Act::Close];
    assert_eq!(after(acts).await, Outcome::Pass);
}

#[tokio::test]
async fn a_server_may_close_idle_connections() {
    for (what, first, second) in [
        ("after the answer", vec![send(OK), Act::Close], vec![]),
        ("while the next request is on its way", vec![send(OK)], vec![Act::Close]),
        ("with a reset", vec![send(OK)], vec![Act::Reset]),
    ] {
        let acts = [first, second];
        let server = Server::start(move |turn| acts[turn.on_connection.min(1)].clone()).await;
        let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
        for sample in rig.take(6).await {
            assert_eq!(sample.outcome, Outcome::Pass, "{what}");
        }
        assert!(server.seen().connections >= 5, "{what}");
    }
}

#[tokio::test]
async fn farewells_on_idle_connections_are_not_answers() {
    let farewell = send("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // The farewell comes when the test says so: when the probe has ended and its connection is idle.
    let acts = [send(OK), Act::Hold, farewell, Act::Close];
    let mut server = Server::start(move |_| acts.to_vec()).await;
    let target = every(Duration::from_millis(300), target(server.address, http()));
    let mut rig = Rig::start(set([("api-1", target)]));
    for _ in 0..3 {
        assert_eq!(rig.sample().await.outcome, Outcome::Pass);
        server.wait(|seen| seen.held == 1).await;
        server.release();
    }
}

#[tokio::test]
async fn a_second_try_has_what_is_left_of_the_timeout() {
    let timeout = Duration::from_millis(500);
    // The first connection answers once, and is closed late under the second request. The next one hangs.
    let mut server = Server::start(|turn| match (turn.connection, turn.on_connection) {
        (0, 0) => vec![send(OK)],
        (0, _) => vec![Act::Hold, Act::Close],
        _ => vec![Act::Hang],
    })
    .await;
    let mut rig = Rig::start(set([("api-1", timing_out(server.address, http(), timeout))]));
    assert_eq!(rig.sample().await.outcome, Outcome::Pass);
    server.wait(|seen| seen.held == 1).await;
    server.release();
    let sample = rig.sample().await;
    assert_eq!(sample.outcome, Outcome::Fail(Failure::Timeout));
    assert!(sample.latency >= timeout && sample.latency < timeout * 3 / 2, "{:?}", sample.latency);
    assert!(server.seen().connections >= 2);
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_is_not_tried_again() {
    let server = Server::start(|_| vec![Act::Close]).await;
    let target = every(DEADLINE, target(server.address, http()));
    assert!(matches!(outcome_of(target).await, Outcome::Fail(Failure::Protocol(_))));
    assert_eq!(server.seen().connections, 1);
}

#[tokio::test]
async fn ipv6_backends_are_reached() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let server = Server::on(listener, None, Box::new(|_| vec![send(OK)]));
    assert_eq!(outcome_of(target(server.address, http())).await, Outcome::Pass);
    let request = server.seen().requests.remove(0);
    assert!(request.contains(&format!("host: [::1]:{}\r\n", server.address.port())), "{request}");
}

#[tokio::test]
async fn samples_say_who_when_and_how_long() {
    let mut server = Server::start(|_| vec![Act::Hold, send(OK)]).await;
    let clock = Arc::new(AtomicI64::new(0));
    let read = Arc::clone(&clock);
    let settings = ProberSettings::new(Arc::new(move || Timestamp::from_unix_millis(read.load(Relaxed))));
    let mut rig = Rig::start_with(settings, 1, set([("api-1", target(server.address, http()))]));
    server.wait(|seen| seen.held == 1).await;
    clock.store(1_700_000_000_123, Relaxed);
    server.release();
    let sample = rig.sample().await;
    assert_eq!(sample.backend.as_str(), "api-1");
    assert_eq!(sample.at.unix_millis(), 1_700_000_000_123, "the end of the probe");
    assert!(sample.latency < DEADLINE && sample.latency > Duration::ZERO);
}
