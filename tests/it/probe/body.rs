use bascule::core::health::{Failure, Outcome};
use bascule::core::inventory::{BodyExpectation, BodyPattern, HttpProbe, ProbeKind};

use super::rig::{Rig, outcome_of, question, set, target};
use super::server::Server;

fn expecting(body: BodyExpectation) -> ProbeKind {
    ProbeKind::Http(HttpProbe { body: Some(body), ..question() })
}

fn contains(text: &str) -> ProbeKind {
    expecting(BodyExpectation::Contains(text.to_owned()))
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_body_decides() {
    let json = || expecting(BodyExpectation::Json { pointer: "/status".to_owned(), equals: "ok".into() });
    let matches = |text| expecting(BodyExpectation::Matches(BodyPattern::compile(text).expect("an expression")));
    for (kind, body, fault) in [
        (contains("ready"), "all ready", None),
        (contains("ready"), "starting", Some("the expected text is not in `starting`")),
        (matches("^(ok|ready)$"), "ready", None),
        (matches("^(ok|ready)$"), "not ready", Some("the expression does not match `not ready`")),
        (json(), r#"{"status":"ok"}"#, None),
        (json(), r#"{"status":"degraded"}"#, Some("at the JSON pointer is `\"degraded\"`")),
    ] {
        let server = Server::answering(answer(200, body)).await;
        let expected = fault.map_or(Outcome::Pass, |reason| Outcome::Fail(Failure::Body(reason.to_owned())));
        assert_eq!(outcome_of(target(server.address, kind)).await, expected);
    }
}

#[tokio::test]
async fn a_bad_status_says_more_than_a_wrong_body() {
    let server = Server::answering(answer(503, "starting")).await;
    assert_eq!(outcome_of(target(server.address, contains("ready"))).await, Outcome::Fail(Failure::Status(503)));
}

#[tokio::test]
async fn a_body_counts_up_to_64_kib() {
    let max = BodyExpectation::READ_MAX;
    for (before, passes) in [(max - 5, true), (max - 4, false), (1_000_000, false)] {
        let server = Server::answering(answer(200, &format!("{}ready", "x".repeat(before)))).await;
        let outcome = outcome_of(target(server.address, contains("ready"))).await;
        assert_eq!(outcome.is_pass(), passes, "{before}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_one_body_and_its_connection_is_kept() {
    let pieces = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n";
    let server = Server::answering(pieces).await;
    let mut rig = Rig::start(set([("api-1", target(server.address, contains("ready")))]));
    assert!(rig.take(5).await.iter().all(|sample| sample.outcome.is_pass()));
    assert_eq!(server.seen().connections, 1);
}
