use std::time::Duration;

use bascule::core::health::{Failure, Outcome};
use bascule::core::inventory::ProbeKind;

use super::rig::{Rig, outcome_of, set, target, timing_out};
use super::server::{Act, Refusing, Server};

#[tokio::test]
async fn an_open_port_passes_and_leaves_no_trace() {
    let mut server = Server::start(|_| vec![Act::Hang]).await;
    let mut rig = Rig::start(set([("api-1", target(server.address, ProbeKind::Tcp))]));
    assert!(rig.take(5).await.iter().all(|sample| sample.outcome.is_pass()));
    let seen = server.wait(|seen| seen.ends.len() >= 5).await;
    assert!(seen.connections >= 5, "{}", seen.connections);
    // An orderly end would leave a TIME_WAIT on this side.
    let is_reset = |end: &Option<String>| end.as_deref().is_some_and(|words| words.contains("reset"));
    assert!(seen.ends.iter().all(is_reset), "{:?}", seen.ends);
}

#[tokio::test]
async fn a_closed_port_fails() {
    let refusing = Refusing::new();
    let outcome = outcome_of(target(refusing.address, ProbeKind::Tcp)).await;
    assert!(matches!(&outcome, Outcome::Fail(Failure::Refused(why)) if why.contains("refused")), "{outcome:?}");
}

#[tokio::test]
async fn silence_times_out() {
    let listener = tokio::net::TcpSocket::new_v4().expect("a socket");
    listener.bind("127.0.0.1:0".parse().expect("an address")).expect("binds");
    let listener = listener.listen(1).expect("listens");
    let address = listener.local_addr().expect("bound");
    // Nobody accepts: the queue of 1 takes two, and drops the handshakes of those after.
    let _first = tokio::net::TcpStream::connect(address).await.expect("queued");
    let _second = tokio::net::TcpStream::connect(address).await.expect("queued");
    for kind in [ProbeKind::Tcp, super::rig::http()] {
        let outcome = outcome_of(timing_out(address, kind, Duration::from_millis(200))).await;
        assert_eq!(outcome, Outcome::Fail(Failure::Timeout));
    }
}
