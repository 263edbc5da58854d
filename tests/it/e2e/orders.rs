//! Who may give orders to a running controller, and how they are answered.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::program::bascule;
use super::world::{DOMAIN, World, backend};
use crate::support::http::HttpBackend;

/// Something that no log and no status may hold.
const SECRET: &str = "correct-horse-battery";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A controller with a token, started with all that can be logged.
async fn guarded() -> (World, HttpBackend) {
    let mut world = World::new().await;
    let only = backend("api-dijon-1", 1, 1).await;
    world.write_service("api", DOMAIN);
    world.write_backend("api", &only);
    let id = world.commit_and_push("Declare a service");
    // As editors leave it.
    std::fs::write(world.path("token"), format!("{SECRET}\n")).expect("a file is written");
    let (repository, token) = (world.path("remote.git").display().to_string(), world.path("token"));
    world.start_with(&repository, "30s", &["--log", "trace", "--api-token-file", &token.display().to_string()]);
    world.wait_for_revision(&id).await;
    (world, only)
}

fn order() -> Value {
    json!({ "target": "api-dijon-1", "action": "up", "for": "2h", "reason": "the probe is wrong", "by": "anna" })
}

type Headers<'a> = &'a [(&'a str, &'a str)];

struct Answer {
    status: StatusCode,
    body: Value,
}

async fn send(world: &World, (method, path): (Method, &str), headers: Headers<'_>, body: &str) -> Answer {
    let client = Client::builder().no_proxy().build().expect("a client");
    let mut request = client.request(method, world.api_url(path)).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} answers {status} `{text}`: {error}"));
    Answer { status, body }
}

fn writes() -> [(Method, &'static str); 3] {
    [
        (Method::POST, "/v1/overrides"),
        (Method::DELETE, "/v1/overrides/api-dijon-1"),
        (Method::POST, "/v1/services/api/failback"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_browsers_strangers_and_proxies_are_refused() {
    let (world, _only) = guarded().await;
    let body = order().to_string();
    let bearer = format!("Bearer {SECRET}");
    let right = ("authorization", bearer.as_str());
    let cases: [(Headers<'_>, StatusCode, &str); 7] = [
        (&[JSON, ("origin", "http://127.0.0.1:7500")], StatusCode::FORBIDDEN, "browsers"),
        (&[JSON, ("sec-fetch-site", "none")], StatusCode::FORBIDDEN, "browsers"),
        (&[JSON, right, ("origin", "null")], StatusCode::FORBIDDEN, "browsers"),
        (&[], StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json"),
        (&[("content-type", "text/plain")], StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json"),
        (&[JSON, ("authorization", "Bearer wrong")], StatusCode::UNAUTHORIZED, "--api-token-file"),
        (&[JSON, ("x-forwarded-for", "203.0.113.9")], StatusCode::FORBIDDEN, "proxy"),
    ];
    for (headers, status, part) in cases {
        for write in writes() {
            let answer = send(&world, write.clone(), headers, &body).await;
            assert_eq!(answer.status, status, "{write:?} {headers:?} {}", answer.body);
            let error = answer.body["error"].as_str().expect("an error");
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(world.status().await.expect("a status").overrides, [], "{headers:?}");
    }
    let answer = send(&world, (Method::POST, "/v1/overrides"), &[JSON, right, ("via", "2.0 Caddy")], &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_taken_and_never_shown() {
    let (mut world, _only) = guarded().await;
    let token = world.path("token").display().to_string();
    let set = ["override", "up", "api-dijon-1", "--for", "1h", "--reason", "x", "--api-token-file", &token];
    world.run(&set).succeeded();
    std::fs::write(world.path("wrong"), "another-horse-battery").expect("a file is written");
    let wrong = world.path("wrong").display().to_string();
    let ran = world.run(&["override", "clear", "api-dijon-1", "--api-token-file", &wrong]);
    assert!(ran.code == Some(1) && ran.stderr.contains("is not the one of this controller"), "{}", ran.stderr);
    let (_, text) = world.status_text();
    assert!(world.terminate().await);
    let log = world.log();
    assert!(log.contains("override set") && log.contains("order denied"), "the log has what was done");
    for (place, text) in [("log", log), ("status", text)] {
        for secret in [SECRET, "another-horse"] {
            assert!(!text.contains(secret), "the {place} has the secret");
        }
    }
    let state = std::fs::read(world.path("bascule.db")).expect("the state file");
    assert!(!state.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "the state file has the secret");
}

#[test]
fn a_token_that_can_be_guessed_or_not_be_sent_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(bascule(folder.path(), &["init"]).code, Some(0));
    for (secret, part) in
        [("short", "fewer than 16 can be guessed"), ("correct horse battery staple", "has spaces"), ("\n", "is empty")]
    {
        std::fs::write(folder.path().join("token"), secret).expect("a file is written");
        let ran = bascule(folder.path(), &["run", "--listen", "127.0.0.1:0", "--api-token-file", "token"]);
        assert_eq!(ran.code, Some(1), "{secret:?}");
        assert!(ran.stderr.contains(part), "{secret:?}: {}", ran.stderr);
        assert!(secret.trim().is_empty() || !ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_by_its_field_with_the_cure() {
    let (world, _only) = guarded().await;
    let with = |field: &str, value: Value| {
        let mut order = order();
        order[field] = value;
        order.to_string()
    };
    for (body, status, field, part) in [
        (with("target", json!("api-dijon-2")), 422, json!("target"), "did you mean `api-dijon-1`?"),
        (with("action", json!("off")), 422, json!("action"), "`drain`, `up` or `down`"),
        (with("for", json!("31d")), 422, json!("for"), "at most `30d`"),
        (with("reason", json!(" ")), 422, json!("reason"), "say in a few words why"),
        (with("by", json!("a\nb")), 422, json!("by"), "as one line"),
        (with("until", json!("2030")), 400, Value::Null, "unknown field `until`"),
        (with("for", json!(7200)), 400, Value::Null, "expected a string"),
        ("{}".to_owned(), 400, Value::Null, "missing field `target`"),
        (String::new(), 400, Value::Null, "not the JSON of an order"),
        (with("reason", json!("x".repeat(20_000))), 413, Value::Null, "length limit"),
    ] {
        let answer = send(&world, (Method::POST, "/v1/overrides"), &[JSON], &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.body);
        assert_eq!(answer.body["field"], field);
        let error = answer.body["error"].as_str().expect("an error");
        assert!(error.contains(part), "{error}");
    }
    for (write, status, part) in [
        ((Method::DELETE, "/v1/overrides/api-dijon-1"), 404, "nothing is"),
        ((Method::POST, "/v1/services/apis/failback"), 404, "did you mean `api`?"),
        ((Method::POST, "/v1/services/api/failback"), 409, "has the policy `spread`"),
    ] {
        let answer = send(&world, write.clone(), &[JSON], "").await;
        assert_eq!(answer.status.as_u16(), status, "{write:?}");
        assert!(answer.body["error"].as_str().expect("an error").contains(part), "{}", answer.body);
    }
    assert_eq!(world.status().await.expect("a status").overrides, []);

    let set = send(&world, (Method::POST, "/v1/overrides"), &[JSON], &order().to_string()).await;
    assert_eq!((set.status, &set.body["override"]["target"]), (StatusCode::OK, &json!("backend:api-dijon-1")));
    let listed = send(&world, (Method::GET, "/v1/overrides"), &[], "").await;
    assert_eq!(listed.body["overrides"][0]["until"], set.body["override"]["until"]);
    let by_cli: Value =
        serde_json::from_str(&world.run(&["override", "list", "--format", "json"]).succeeded()).expect("JSON");
    assert_eq!(by_cli["overrides"][0]["reason"], "the probe is wrong");
    let cleared =
        send(&world, (Method::DELETE, "/v1/overrides/backend:api-dijon-1"), &[JSON], r#"{"by": "berta"}"#).await;
    assert_eq!((cleared.status, &cleared.body["cleared"]["by"]), (StatusCode::OK, &json!("anna")));
    assert!(world.log().contains("berta"), "the log says who cleared it");
}

/// Durable before it acts: with a state file that cannot be written nothing holds, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_does_not_hold() {
    let (world, _only) = guarded().await;
    let connection = rusqlite::Connection::open(world.path("bascule.db")).expect("opens");
    let broken = "CREATE TRIGGER full BEFORE INSERT ON overrides BEGIN SELECT RAISE(ABORT, 'no room'); END";
    connection.execute_batch(broken).expect("runs");
    let answer = send(&world, (Method::POST, "/v1/overrides"), &[JSON], &order().to_string()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    let error = answer.body["error"].as_str().expect("an error");
    assert!(error.contains("so the override does not hold") && error.contains("no room"), "{error}");
    assert_eq!(world.status().await.expect("a status").overrides, []);
}
