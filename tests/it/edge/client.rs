//! What the client says of edges that are not there.

use std::error::Error;
use std::time::Duration;

use bascule::core::model::AdminAddress;
use bascule::edge::{Admin, AdminError, AdminSettings, CaddyAdmin, FaultClass};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::stage::quick;
use crate::support::admin_front::{Fault, Front};
use crate::support::fake_caddy::FakeCaddy;
use crate::support::port::ReservedPort;

fn admin(address: &str) -> CaddyAdmin {
    CaddyAdmin::new(address.parse().expect("test address parses"), quick()).expect("a client can be made")
}

#[tokio::test]
async fn nobody_listens() {
    let port = ReservedPort::take();
    let address = format!("http://127.0.0.1:{}", port.get());
    let error = admin(&address).read().await.expect_err("nobody is there");
    assert_eq!(error.to_string(), format!("cannot connect to Caddy's admin API at {address}"));
    assert_eq!(error.source().expect("there is a cause").to_string(), "Connection refused (os error 111)");
    assert_eq!(error.class(), FaultClass::Retry);
    let error = admin(&address).replace(Vec::new(), "\"/config/ 1\"").await.expect_err("nobody is there");
    assert!(matches!(error, AdminError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.class(), FaultClass::Retry, "nothing was sent");
}

#[tokio::test]
async fn no_socket_and_a_socket_without_a_listener() {
    let dir = tempfile::tempdir().expect("a temp dir can be made");
    let path = dir.path().join("admin.sock");
    let address = format!("unix/{}", path.display());
    for cause in ["No such file or directory (os error 2)", "Connection refused (os error 111)"] {
        let error = admin(&address).read().await.expect_err("nobody is there");
        assert_eq!(error.to_string(), format!("cannot connect to Caddy's admin API at {address}"));
        assert_eq!(error.source().expect("there is a cause").to_string(), cause);
        // Leaves the socket's file behind, as a killed Caddy does.
        let _ = std::os::unix::net::UnixListener::bind(&path);
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_about() {
    // Nothing accepts and the queue is full: further connection attempts get no answer.
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has a free port");
    let listener = socket.listen(1).expect("it can listen");
    let target = listener.local_addr().expect("a bound socket has an address");
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(target)).await {
        queue.push(stream);
    }
    let settings = AdminSettings { connect_timeout: Duration::from_millis(200), ..quick() };
    let address: AdminAddress = format!("http://{target}").parse().expect("test address parses");
    let admin = CaddyAdmin::new(address, settings).expect("a client can be made");
    let error = admin.replace(Vec::new(), "\"/config/ 1\"").await.expect_err("nobody accepts");
    assert!(matches!(error, AdminError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.class(), FaultClass::Retry, "nothing was sent");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let front = FakeCaddy::listen(json!({"apps": {"x": "x".repeat(2000)}})).await;
    let settings = AdminSettings { answer_bytes_max: 1000, ..quick() };
    let admin = CaddyAdmin::new(front.address().clone(), settings).expect("a client can be made");
    let error = admin.read().await.expect_err("the answer is too long");
    assert!(error.to_string().contains("the answer is longer than 1000 bytes"), "{error}");
    front.assert_only(["GET /config/"]);
}

#[tokio::test]
async fn the_environments_proxy_is_not_used() {
    // The environment belongs to the process, so the asking is done by a child: this same test, told whom to ask.
    const ASK: &str = "BASCULE_TEST_ASK_ADMIN";
    if let Ok(address) = std::env::var(ASK) {
        admin(&address).read().await.expect("it answers");
        return;
    }
    let front = FakeCaddy::listen(Value::Null).await;
    let proxy = FakeCaddy::listen(Value::Null).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("a test has a program"));
    child.args(["--exact", "edge::client::the_environments_proxy_is_not_used"]).env(ASK, front.address().to_string());
    child.env("http_proxy", proxy.address().to_string()).env("no_proxy", "").kill_on_drop(true);
    let output = child.output().await.expect("the child runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    proxy.assert_only([]);
    front.assert_only(["GET /config/"]);
}

#[tokio::test]
async fn only_what_caddy_needs_is_sent() {
    let front = FakeCaddy::listen(Value::Null).await;
    admin(&front.address().to_string()).read().await.expect("it answers");
    let calls = front.calls();
    assert_eq!(calls[0].host.as_deref(), front.address().to_string().strip_prefix("http://"));
    assert_eq!(calls[0].origin, None, "an Origin that nobody asked for can be refused");
    front.assert_only(["GET /config/"]);
}

#[tokio::test]
async fn every_message_names_the_edge() {
    let front: Front<FakeCaddy> = FakeCaddy::listen(Value::Null).await;
    let (admin, address) = (admin(&front.address().to_string()), front.address().to_string());
    front.edge().reject_with("no such module");
    let tag = admin.read().await.expect("it answers").etag;
    for (fault, tag, expected) in [
        (None, tag.as_str(), FaultClass::Stall),
        (None, "\"/config/ 0\"", FaultClass::Conflict),
        (Some(Fault::ResetBefore), tag.as_str(), FaultClass::UnknownOutcome),
        (Some(Fault::Hang), tag.as_str(), FaultClass::UnknownOutcome),
        (Some(Fault::Stranger("HTTP/1.1 404 Nope\r\nContent-Length: 0\r\n\r\n")), tag.as_str(), FaultClass::Retry),
    ] {
        if let Some(fault) = fault {
            front.inject("POST", fault);
        }
        let error = admin.replace(b"{}".to_vec(), tag).await.expect_err("it goes wrong");
        assert_eq!(error.class(), expected, "{error:?}");
        assert!(error.to_string().contains(&address), "{error}");
        assert_eq!(error.address(), front.address());
    }
    let posts = "POST /config/";
    front.assert_only(["GET /config/", posts, posts, posts, posts, posts]);
}
