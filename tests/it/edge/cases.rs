//! The cases of the suite. Each ends with what was asked of the edge, and that nothing else was.

use std::time::{Duration, Instant};

use bascule::core::caddy::{Seen, Standing};
use bascule::core::model::Digest;
use bascule::edge::{AdminError, ApplyReport, Outcome, Request};
use serde_json::{Value, json};

use super::stage::{Stage, apps, config, digest, quick, with_config, without_config};
use crate::support::admin_front::Fault;
use crate::support::caddy::{Boot, Transport};
use crate::support::fake_caddy::UNKNOWN_FIELD;
use crate::support::port::ReservedPort;

const READ: &str = "GET /config/";
const LOAD: &str = "POST /config/";

/// Asserts a report's outcome, showing the whole report where it is another one.
macro_rules! assert_outcome {
    ($report:expr, $pattern:pat $(if $guard:expr)?) => {
        assert!(matches!(&$report.outcome, $pattern $(if $guard)?), "{:#?}", $report)
    };
}

#[track_caller]
fn assert_before(report: &ApplyReport, found: &Value, standing: Standing) {
    assert_eq!(report.before, Some(Seen { digest: digest(found), standing }), "{report:#?}");
}

pub async fn accept_on_an_edge_without_a_config<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    let wanted = config(&port, "one <&>");
    let report = stage.apply(&wanted).await;
    assert_outcome!(report, Outcome::Applied);
    assert_before(&report, &Value::Null, Standing::Empty);
    assert_eq!((&report.wanted, report.writes, report.conflicts), (&digest(&wanted), 1, 0));
    assert!(report.load_took.is_some_and(|load| load <= report.took), "{report:?}");
    assert_eq!(digest(&stage.running().await), digest(&wanted));
    assert_eq!(stage.running().await.get("admin"), None, "a push brings no admin section");
    assert_eq!(stage.served(&port).await, "one <&>");
    stage.front().assert_only([READ, LOAD, READ]);
    let calls = stage.front().calls();
    assert_eq!(calls[1].body, Digest::of(wanted.to_string().as_bytes()));
    assert!(calls[1].if_match.as_ref().is_some_and(|tag| tag.starts_with("\"/config/ ")), "{calls:?}");
}

pub async fn accept_in_place_of_another_config<S: Stage>() {
    let port = ReservedPort::take();
    let old = config(&port, "old");
    let stage = S::start(with_config(old.clone())).await;
    let report = stage.apply_knowing(&config(&port, "new"), &[digest(&json!({})), digest(&old)]).await;
    assert_outcome!(report, Outcome::Applied);
    assert_before(&report, &old, Standing::Own);
    assert_eq!(stage.served(&port).await, "new");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn unchanged_sends_nothing<S: Stage>() {
    let port = ReservedPort::take();
    let wanted = config(&port, "same <&>");
    let stage = S::start(with_config(wanted.clone())).await;
    for _ in 0..2 {
        let report = stage.apply(&wanted).await;
        assert_outcome!(report, Outcome::Unchanged);
        assert_before(&report, &wanted, Standing::Wanted);
        assert_eq!((report.writes, report.load_took), (0, None));
    }
    stage.front().assert_only([READ, READ]);
}

pub async fn rejected_keeps_the_message_and_the_old_config<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(with_config(config(&port, "old"))).await;
    let before = stage.running().await;
    let mut bad = config(&port, "new");
    bad["apps"]["http"]["servers"]["main"][UNKNOWN_FIELD] = json!(1);
    let report = stage.apply(&bad).await;
    let expected = format!("unknown field \"{UNKNOWN_FIELD}\"");
    assert_outcome!(report, Outcome::Rejected { status: 500, message } if message.contains(&expected));
    assert_eq!(stage.running().await, before);
    assert_eq!(stage.served(&port).await, "old");
    stage.front().assert_only([READ, LOAD]);
}

pub async fn hang_on_read_ends_by_deadline<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("GET", Fault::Hang);
    let began = Instant::now();
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(
        report,
        Outcome::Failed { error: AdminError::Timeout { request: Request::Read, limit, .. } } if *limit == quick().read_timeout
    );
    assert_eq!(report.before, None);
    assert!(began.elapsed() < quick().read_timeout * 2, "{:?}", began.elapsed());
    assert_eq!(stage.running().await, Value::Null);
    stage.front().assert_only([READ]);
}

pub async fn hang_on_load_ends_by_deadline<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("POST", Fault::Hang);
    let report = stage.apply(&config(&port, "one")).await;
    // Asked afterwards, the edge says that it runs what it ran.
    assert_outcome!(report, Outcome::Failed { error: AdminError::Timeout { request: Request::Replace, .. } });
    assert!(report.took >= quick().load_timeout && report.took < quick().load_timeout * 2, "{report:?}");
    assert_eq!(stage.running().await, Value::Null);
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn reset_before_the_config_was_taken<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    let wanted = config(&port, "one");
    stage.front().inject("POST", Fault::ResetBefore);
    let report = stage.apply(&wanted).await;
    assert_outcome!(report, Outcome::Failed { error: AdminError::Broken { request: Request::Replace, .. } });
    assert_eq!(stage.running().await, Value::Null);
    assert_outcome!(stage.apply(&wanted).await, Outcome::Applied);
    stage.front().assert_only([READ, LOAD, READ, READ, LOAD, READ]);
}

pub async fn reset_after_the_config_was_taken<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("POST", Fault::ResetAfter);
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(report, Outcome::Applied);
    assert!(matches!(report.lost_answer, Some(AdminError::Broken { .. })), "{report:#?}");
    assert_eq!(stage.served(&port).await, "one");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn answer_cut_after_the_config_was_taken<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("POST", Fault::CutAnswer);
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(report, Outcome::Applied);
    assert!(matches!(report.lost_answer, Some(AdminError::Broken { .. })), "{report:#?}");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn lost_answer_and_no_way_to_ask<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    let wanted = config(&port, "one");
    stage.front().inject("POST", Fault::ResetAfter);
    stage.front().inject("GET", Fault::Slow(Duration::ZERO));
    stage.front().inject("GET", Fault::Hang);
    let report = stage.apply(&wanted).await;
    assert_outcome!(report, Outcome::Unverified { error: AdminError::Timeout { request: Request::Read, .. } });
    assert!(matches!(report.lost_answer, Some(AdminError::Broken { .. })), "{report:#?}");
    // The next pass finds out.
    assert_outcome!(stage.apply(&wanted).await, Outcome::Unchanged);
    stage.front().assert_only([READ, LOAD, READ, READ]);
}

pub async fn restarted_empty_is_repaired<S: Stage>() {
    let port = ReservedPort::take();
    let mut stage = S::start(with_config(json!({}))).await;
    let wanted = config(&port, "one");
    assert_outcome!(stage.apply(&wanted).await, Outcome::Applied);
    stage.restart().await;
    let report = stage.apply_knowing(&wanted, &[digest(&wanted)]).await;
    assert_outcome!(report, Outcome::Applied);
    assert_before(&report, &json!({}), Standing::Bare);
    assert_eq!(stage.served(&port).await, "one");
    stage.front().assert_only([READ, LOAD, READ, READ, LOAD, READ]);
}

pub async fn foreign_route_is_repaired<S: Stage>() {
    let port = ReservedPort::take();
    let wanted = config(&port, "one");
    let stage = S::start(with_config(wanted.clone())).await;
    let mut edited = apps(&port, "one");
    let routes = edited["http"]["servers"]["main"]["routes"].as_array_mut().expect("there are routes");
    routes.insert(0, json!({"handle": [{"handler": "static_response", "body": "by hand"}]}));
    stage.write_apps(&edited).await;
    let report = stage.apply_knowing(&wanted, &[digest(&wanted)]).await;
    assert_outcome!(report, Outcome::Applied);
    assert_before(&report, &json!({ "apps": edited }), Standing::Foreign);
    assert_eq!(stage.served(&port).await, "one");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn other_spelling_is_no_difference<S: Stage>() {
    let port = ReservedPort::take();
    let wanted = config(&port, "one <&>");
    // Keys out of order, blanks, another spelling of numbers and characters.
    let apps = wanted["apps"].to_string().replace("200.0", "200").replace('<', "\\u003c").replace(',', " ,\n");
    let turned = format!(r#" {{ "logging" : {{}} , "apps" : {apps} }} "#);
    let stage = S::start(with_config(serde_json::from_str(&turned).expect("it is JSON"))).await;
    let mut wanted = wanted;
    wanted["logging"] = json!({});
    assert_outcome!(stage.apply(&wanted).await, Outcome::Unchanged);
    stage.front().assert_only([READ]);
}

pub async fn second_writer_between_read_and_write<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(with_config(config(&port, "old"))).await;
    stage.front().inject("POST", Fault::SecondWriterBefore(apps(&port, "theirs")));
    let report = stage.apply(&config(&port, "ours")).await;
    assert_outcome!(report, Outcome::Applied);
    assert_eq!((report.conflicts, report.writes), (1, 2));
    assert_before(&report, &config(&port, "old"), Standing::Foreign);
    assert_eq!(stage.served(&port).await, "ours");
    stage.front().assert_only([READ, LOAD, READ, LOAD, READ]);
}

pub async fn second_writer_who_wants_the_same<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(with_config(config(&port, "old"))).await;
    stage.front().inject("POST", Fault::SecondWriterBefore(apps(&port, "same")));
    let report = stage.apply(&config(&port, "same")).await;
    assert_outcome!(report, Outcome::Unchanged);
    assert_eq!((report.conflicts, report.writes), (1, 1));
    assert_eq!(stage.served(&port).await, "same");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn second_writer_every_time<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(with_config(config(&port, "old"))).await;
    for round in 0..3 {
        stage.front().inject("POST", Fault::SecondWriterBefore(apps(&port, &format!("theirs {round}"))));
    }
    let report = stage.apply(&config(&port, "ours")).await;
    assert_outcome!(report, Outcome::Conflict);
    assert_eq!((report.conflicts, report.writes), (3, 3));
    assert_eq!(stage.served(&port).await, "theirs 2");
    stage.front().assert_only([READ, LOAD, READ, LOAD, READ, LOAD]);
}

pub async fn second_writer_after_the_load<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(with_config(config(&port, "old"))).await;
    stage.front().inject("POST", Fault::SecondWriterAfter(apps(&port, "theirs")));
    let report = stage.apply(&config(&port, "ours")).await;
    let theirs = Seen { digest: digest(&config(&port, "theirs")), standing: Standing::Foreign };
    assert_outcome!(report, Outcome::Drifted { seen } if *seen == theirs);
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn reset_on_read_back_is_read_again<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("GET", Fault::Slow(Duration::ZERO));
    stage.front().inject("GET", Fault::ResetBefore);
    stage.front().inject("GET", Fault::CutAnswer);
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(report, Outcome::Applied);
    stage.front().assert_only([READ, LOAD, READ, READ, READ]);
}

pub async fn never_read_back_is_unverified<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    stage.front().inject("GET", Fault::Slow(Duration::ZERO));
    for _ in 0..6 {
        stage.front().inject("GET", Fault::ResetBefore);
    }
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(report, Outcome::Unverified { error: AdminError::Broken { request: Request::Read, .. } });
    assert!(report.lost_answer.is_none(), "{report:#?}");
    assert_eq!(stage.served(&port).await, "one");
    stage.front().assert_only([READ, LOAD, READ, READ, READ, READ, READ, READ]);
}

pub async fn slow_is_ok<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    let delay = Duration::from_millis(300);
    stage.front().inject("GET", Fault::Slow(delay));
    stage.front().inject("GET", Fault::Slow(delay));
    stage.front().inject("POST", Fault::Slow(delay));
    let report = stage.apply(&config(&port, "one")).await;
    assert_outcome!(report, Outcome::Applied);
    assert!(report.took >= delay * 3 && report.load_took.is_some_and(|load| load >= delay), "{report:?}");
    stage.front().assert_only([READ, LOAD, READ]);
}

pub async fn stranger_at_the_address<S: Stage>() {
    let (stage, port) = (S::start(without_config()).await, ReservedPort::take());
    let strangers = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<p>Hello</p>", "(status 200): <p>Hello</p>"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "(status 302): an empty answer",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "has no Etag"),
        ("HTTP/1.1 200 OK\r\nEtag: \"abc\"\r\nContent-Length: 2\r\n\r\n{}", "the Etag \"abc\" is not of the form"),
        ("HTTP/1.1 502 Bad\r\nContent-Length: 21\r\n\r\n{\"error\":\"no gateway\"}", "(status 502)"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", "broke off while reading"),
    ];
    for (answer, expected) in strangers {
        stage.front().inject("GET", Fault::Stranger(answer));
        let report = stage.apply(&config(&port, "one")).await;
        assert_outcome!(report, Outcome::Failed { error } if error.to_string().contains(expected));
    }
    assert_eq!(stage.running().await, Value::Null);
    stage.front().assert_only([READ; 6]);
}

pub async fn admin_section_is_kept_byte_for_byte<S: Stage>() {
    let port = ReservedPort::take();
    let admin = json!({
        "origins": ["ctl.example.org:2019", "acecinema.fr"],
        "enforce_origin": true,
        "config": {"persist": false},
        "identity": {"identifiers": ["edge.example.org"], "issuers": [{"module": "internal"}]},
    });
    let mut old = config(&port, "old");
    old["admin"] = admin;
    // Its local authority must not be put into the machine's trust store.
    let pki = json!({"certificate_authorities": {"local": {"install_trust": false}}});
    old["apps"]["pki"] = pki.clone();
    let stage = S::start(with_config(old)).await;
    let before = stage.admin_bytes().await;
    let mut wanted = config(&port, "new");
    wanted["apps"]["pki"] = pki;
    wanted["admin"] = json!({"disabled": true});
    let report = stage.apply(&wanted).await;
    assert_outcome!(report, Outcome::Applied);
    assert_eq!(stage.admin_bytes().await, before);
    assert!(before.contains("ctl.example.org:2019") && before.contains("edge.example.org"), "{before}");
    assert_eq!(stage.served(&port).await, "new");
    // Refused once for want of an `Origin`, which is sent from then on.
    stage.front().assert_only([READ, READ, LOAD, READ]);
    let origins: Vec<_> = stage.front().calls().into_iter().map(|call| call.origin.is_some()).collect();
    assert_eq!(origins.first(), Some(&false));
    assert!(origins[1..].iter().all(|sent| *sent), "{origins:?}");
}

pub async fn admin_over_a_unix_socket<S: Stage>() {
    let port = ReservedPort::take();
    let stage = S::start(Boot { transport: Transport::Unix, config: Some(json!({})) }).await;
    let before = stage.admin_bytes().await;
    for body in ["one", "two"] {
        assert_outcome!(stage.apply(&config(&port, body)).await, Outcome::Applied);
        assert_eq!(stage.served(&port).await, body);
    }
    assert_outcome!(stage.apply(&config(&port, "two")).await, Outcome::Unchanged);
    assert_eq!(stage.admin_bytes().await, before);
    stage.front().assert_only([READ, LOAD, READ, READ, LOAD, READ, READ]);
}
