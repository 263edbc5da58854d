//! Webhooks over HTTP, signed by openssl as forges sign them: see `src/api/webhook.rs`.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bascule::api::{WebhookSecret, Webhooks};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::wait::SOON;

pub(crate) const SECRET: &str = "correct-horse-battery";
const MAIN: &str =
    r#"{"ref": "refs/heads/main", "after": "0f1e", "commits": [{"modified": ["inventory/sites/dijon.yaml"]}]}"#;
const FORGES: [&str; 3] = ["github", "gitlab", "gitea"];

/// HMAC-SHA256 by another program than the one that is tested.
pub(crate) async fn signed(body: &[u8], secret: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", secret, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl can be run");
    child.stdin.take().expect("a pipe").write_all(body).await.expect("it is read");
    let output = child.wait_with_output().await.expect("openssl ends");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split(' ').next().expect("a signature").to_owned()
}

type Headers = Vec<(&'static str, String)>;

/// The headers that a forge sends with a push.
pub(crate) async fn headers(forge: &str, body: &[u8], delivery: &str) -> Headers {
    let signature = signed(body, SECRET).await;
    let delivery = delivery.to_owned();
    let own: Headers = match forge {
        "github" => vec![
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", format!("sha256={signature}")),
        ],
        "gitlab" => vec![
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("x-gitlab-event-uuid", delivery),
            ("x-gitlab-token", SECRET.to_owned()),
        ],
        _ => {
            vec![("x-gitea-event", "push".to_owned()), ("x-gitea-delivery", delivery), ("x-gitea-signature", signature)]
        }
    };
    own.into_iter().chain([("content-type", "application/json".to_owned())]).collect()
}

/// With one header set to another value, or left out.
fn with(headers: &Headers, name: &'static str, value: Option<&str>) -> Headers {
    let others = headers.iter().filter(|(other, _)| *other != name).cloned();
    others.chain(value.map(|value| (name, value.to_owned()))).collect()
}

/// What takes webhooks, and what they wake.
struct Rig {
    address: SocketAddr,
    wake: Arc<Notify>,
    client: Client,
    _tasks: JoinSet<()>,
}

impl Rig {
    async fn start() -> Self {
        Self::with(Some(WebhookSecret::new(SECRET)), Some("main")).await
    }

    async fn with(secret: Option<WebhookSecret>, followed: Option<&str>) -> Self {
        let wake = Arc::new(Notify::new());
        let router: axum::Router = Webhooks::new(secret, followed, Arc::clone(&wake)).router();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            axum::serve(listener, service).await.expect("serving does not end");
        });
        let client = Client::builder().no_proxy().build().expect("a client");
        Self { address, wake, client, _tasks: tasks }
    }

    async fn post(&self, forge: &str, headers: &Headers, body: impl Into<Vec<u8>>) -> (StatusCode, Value) {
        let mut request = self.client.post(format!("http://{}/v1/webhooks/{forge}", self.address)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} `{text}`: {error}")))
    }

    /// True once for each wake that waits. Whoever is answered has woken already, if at all.
    async fn is_woken(&self) -> bool {
        timeout(Duration::ZERO, self.wake.notified()).await.is_ok()
    }

    #[track_caller]
    fn check(&self, answer: &(StatusCode, Value), status: u16, part: &str) -> impl Future<Output = ()> {
        let text = answer.1.to_string();
        assert!(answer.0.as_u16() == status && text.contains(part), "{} {text}, and not {status} {part}", answer.0);
        async move { assert!(!self.is_woken().await, "{text} has woken something") }
    }
}

#[tokio::test]
async fn a_push_that_is_signed_wakes_once_however_often_it_comes() {
    let rig = Rig::start().await;
    for forge in FORGES {
        let headers = headers(forge, MAIN.as_bytes(), "72d3162e").await;
        let answer = rig.post(forge, &headers, MAIN).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, json!({ "outcome": "woken" })), "{forge}");
        assert!(rig.is_woken().await, "{forge}");
        let again = rig.post(forge, &headers, MAIN).await;
        assert_eq!(again, (StatusCode::OK, json!({ "outcome": "ignored", "reason": "already taken" })), "{forge}");
        assert!(!rig.is_woken().await, "{forge}");
    }
    // A delivery without a name is taken, each time.
    let headers = with(&headers("gitlab", MAIN.as_bytes(), "").await, "x-gitlab-event-uuid", None);
    for _ in 0..2 {
        assert_eq!(rig.post("gitlab", &headers, MAIN).await.0, StatusCode::ACCEPTED);
        assert!(rig.is_woken().await);
    }
    // Many are one wake.
    for _ in 0..20 {
        assert_eq!(rig.post("gitlab", &headers, MAIN).await.0, StatusCode::ACCEPTED);
    }
    assert_eq!([rig.is_woken().await, rig.is_woken().await], [true, false]);
}

#[tokio::test]
async fn forgejo_says_it_in_its_own_headers() {
    let rig = Rig::start().await;
    let signature = signed(MAIN.as_bytes(), SECRET).await;
    let headers = [("x-forgejo-event", "push"), ("x-forgejo-delivery", "1"), ("x-forgejo-signature", &signature)];
    let json = ("content-type", "application/json; charset=utf-8");
    let headers = headers.into_iter().chain([json]).map(|(name, value)| (name, value.to_owned())).collect();
    assert_eq!(rig.post("gitea", &headers, MAIN).await.0, StatusCode::ACCEPTED);
    assert!(rig.is_woken().await);
    rig.check(&rig.post("gitea", &headers, MAIN).await, 200, "already taken").await;
}

#[tokio::test]
async fn what_is_not_signed_is_denied_without_a_hint() {
    let rig = Rig::start().await;
    let other = signed(MAIN.as_bytes(), "another-horse-battery").await;
    let right = signed(MAIN.as_bytes(), SECRET).await;
    let cases = [
        ("github", "x-hub-signature-256", Some(format!("sha256={other}"))),
        ("github", "x-hub-signature-256", Some(right.clone())),
        ("github", "x-hub-signature-256", Some(format!("sha1={right}"))),
        ("github", "x-hub-signature-256", Some("sha256=".to_owned())),
        ("github", "x-hub-signature-256", None),
        ("gitlab", "x-gitlab-token", Some("another-horse-battery".to_owned())),
        ("gitlab", "x-gitlab-token", Some(SECRET[1..].to_owned())),
        ("gitlab", "x-gitlab-token", Some(right)),
        ("gitlab", "x-gitlab-token", None),
        ("gitea", "x-gitea-signature", Some(other)),
        ("gitea", "x-gitea-signature", Some(SECRET.to_owned())),
        ("gitea", "x-gitea-signature", None),
    ];
    for (forge, name, value) in cases {
        let headers = with(&headers(forge, MAIN.as_bytes(), "1").await, name, value.as_deref());
        let answer = rig.post(forge, &headers, MAIN).await;
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, json!({ "error": "denied" })), "{forge} {value:?}");
        assert!(!rig.is_woken().await, "{forge} {value:?}");
    }
    // Signed, but other bytes; and signed for another forge's address.
    let github = headers("github", MAIN.as_bytes(), "1").await;
    rig.check(&rig.post("github", &github, MAIN.replace("0f1e", "0f1f")).await, 401, "denied").await;
    rig.check(&rig.post("gitea", &github, MAIN).await, 401, "denied").await;
    // What was denied is not remembered.
    assert_eq!(rig.post("github", &github, MAIN).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn what_is_no_push_to_the_branch_does_nothing_and_says_so() {
    let rig = Rig::start().await;
    for forge in FORGES {
        for (reference, reason) in [
            ("refs/heads/feature", "push to refs/heads/feature, main is followed"),
            ("refs/heads/main/next", "push to refs/heads/main/next, main is followed"),
            ("refs/tags/main", "push to refs/tags/main, main is followed"),
            ("main", "push to main, main is followed"),
        ] {
            let body = json!({ "ref": reference, "repository": { "default_branch": "main" } }).to_string();
            let answer = rig.post(forge, &headers(forge, body.as_bytes(), "1").await, body).await;
            assert_eq!(answer, (StatusCode::OK, json!({ "outcome": "ignored", "reason": reason })), "{forge}");
            assert!(!rig.is_woken().await, "{forge}");
        }
        for body in ["{}", "", "[]", r#"{"ref": 1}"#, "ref=refs/heads/main"] {
            let headers = headers(forge, body.as_bytes(), "1").await;
            rig.check(&rig.post(forge, &headers, body).await, 400, "no `ref`").await;
        }
    }
    for (forge, name, event) in [
        ("github", "x-github-event", "ping"),
        ("github", "x-github-event", "pull_request"),
        ("gitlab", "x-gitlab-event", "Tag Push Hook"),
        ("gitlab", "x-gitlab-event", "Merge Request Hook"),
        ("gitea", "x-gitea-event", "create"),
    ] {
        let headers = with(&headers(forge, MAIN.as_bytes(), "1").await, name, Some(event));
        let expected = format!("event {event:?} is no push").replace('"', "\\\"");
        rig.check(&rig.post(forge, &headers, MAIN).await, 200, &expected).await;
    }
}

#[tokio::test]
async fn without_a_branch_that_is_followed_every_push_wakes() {
    let rig = Rig::with(Some(WebhookSecret::new(SECRET)), None).await;
    let body = r#"{"ref": "refs/heads/feature"}"#;
    assert_eq!(rig.post("gitea", &headers("gitea", body.as_bytes(), "1").await, body).await.0, StatusCode::ACCEPTED);
    assert!(rig.is_woken().await);
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_with_the_cure() {
    let rig = Rig::start().await;
    let github = headers("github", MAIN.as_bytes(), "1").await;
    let form = with(&github, "content-type", Some("application/x-www-form-urlencoded"));
    rig.check(&rig.post("github", &form, MAIN).await, 415, "`application/json`").await;
    rig.check(&rig.post("bitbucket", &github, MAIN).await, 404, "/v1/webhooks/gitlab").await;

    let disabled = Rig::with(None, Some("main")).await;
    for forge in FORGES {
        let answer = disabled.post(forge, &headers(forge, MAIN.as_bytes(), "1").await, MAIN).await;
        disabled.check(&answer, 404, "BASCULE_WEBHOOK_SECRET_FILE").await;
    }
}

#[tokio::test]
async fn a_delivery_has_a_largest_size() {
    let rig = Rig::start().await;
    let padded = |length: usize| {
        let (start, end) = (r#"{"ref": "refs/heads/main", "padding": ""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    };
    let most = padded(1024 * 1024);
    assert_eq!(rig.post("github", &headers("github", most.as_bytes(), "1").await, most).await.0, StatusCode::ACCEPTED);
    assert!(rig.is_woken().await);
    // Also one of the size that GitHub sends at most is read to its end: its sender hears why.
    for length in [1024 * 1024 + 1, 25 * 1024 * 1024] {
        let body = padded(length);
        let headers = headers("github", body.as_bytes(), "2").await;
        rig.check(&rig.post("github", &headers, body).await, 413, "larger than 1 MiB").await;
    }
    let mut stream = TcpStream::connect(rig.address).await.expect("a connection");
    let head = "POST /v1/webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 1000000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

/// Who sends nothing more keeps a place, so there are so many places and no more, and they are free again.
#[tokio::test]
async fn deliveries_that_do_not_come_to_an_end_take_a_bounded_number_of_places() {
    let rig = Rig::start().await;
    let github = headers("github", MAIN.as_bytes(), "1").await;
    let head = "POST /v1/webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(rig.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        // Its body is waited for.
        assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 100 "));
        slow.push(stream);
    }
    rig.check(&rig.post("github", &github, MAIN).await, 503, "at once").await;
    drop(slow);
    crate::support::wait::wait_for("a free place", SOON, || async {
        (rig.post("github", &github, MAIN).await.0 == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\n') {
        let length = timeout(SOON, stream.read_buf(&mut bytes)).await.expect("an answer in time").expect("an answer");
        assert!(length > 0, "the connection ended");
    }
    String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned()
}
