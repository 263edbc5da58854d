//! What edges tell is heard, and nothing else is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bascule::core::caddy::evidence::DATAGRAM_MAX;
use bascule::edge::EvidenceListener;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::port::ReservedPort;

fn told(service: &str) -> String {
    let logger = format!("http.log.access.bascule.ovh.{service}");
    format!("{{\"logger\":\"{logger}\",\"status\":500,\"upstream\":\"10.200.1.23:8080\"}}\n")
}

#[tokio::test]
async fn garbage_and_a_flood_do_not_keep_evidence_out() {
    let port = ReservedPort::take();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
    let listener = EvidenceListener::bind(address).await.expect("the port is free");
    let refused = EvidenceListener::bind(address).await.expect_err("it is taken");
    assert!(refused.to_string().contains(&format!("cannot listen on udp {address}")), "{refused}");
    let (tx, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let hear = Arc::new(move |told: bascule::core::caddy::evidence::Told<'_>| tx.send(told.service.to_owned()).is_ok());
    let task = tokio::spawn(listener.hear(hear, stop.clone()));
    let edge = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    edge.connect(address).await.expect("loopback");
    for datagram in [Vec::new(), vec![0xff; 9], vec![b'['; DATAGRAM_MAX], vec![b' '; 2 * DATAGRAM_MAX]] {
        edge.send(&datagram).await.expect("loopback takes it");
    }
    edge.send(told("api").as_bytes()).await.expect("loopback takes it");
    assert_eq!(heard.recv().await.as_deref(), Some("api"));
    // More than is looked at in a second, and more than the socket keeps.
    for _ in 0..20_000 {
        edge.send(told("flood").as_bytes()).await.expect("loopback takes it");
    }
    // Told again and again, as an edge does, until the flood is over.
    let tell = async {
        loop {
            edge.send(told("web").as_bytes()).await.expect("loopback takes it");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let hear = async { while heard.recv().await.expect("it listens") != "web" {} };
    tokio::select! {
        () = tell => {}
        heard = tokio::time::timeout(std::time::Duration::from_secs(20), hear) => heard.expect("heard after the flood"),
    }
    stop.cancel();
    task.await.expect("it ends");
}
