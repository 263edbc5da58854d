//! Several things that are tried, side by side.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bascule::core::health::{Failure, Outcome};
use bascule::core::inventory::{GrpcProbe, HttpProbe, Probe, ProbeKind, Tries, Try};
use bascule::probe::ProbeTarget;

use super::rig::{OK, Rig, hostname, http, http_with, outcome_of, set, target};
use super::server::{Act, Refusing, Server};
use super::tls::{acceptor, pair, tls};
use crate::support::grpc::{GrpcBackend, Health};

fn at(address: SocketAddr, kind: ProbeKind) -> Try {
    Try { port: Some(address.port().try_into().expect("a port")), kind }
}

fn path(path: &str) -> ProbeKind {
    ProbeKind::Http(HttpProbe::new(path.parse().expect("a path")))
}

/// A probe of the backend at an address, with a timeout.
fn probing(upstream: SocketAddr, tries: Tries, timeout: Duration) -> ProbeTarget {
    let target = target(upstream, ProbeKind::Tcp);
    ProbeTarget { probe: Probe { tries, timeout, ..target.probe }, ..target }
}

const LONG: Duration = super::rig::DEADLINE;
const SHORT: Duration = Duration::from_millis(300);

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Fail(failure) => failure.to_string(),
    }
}

#[tokio::test]
async fn all_have_to_pass_and_each_keeps_its_connection() {
    let web = Server::answering(OK).await;
    let admin = Server::answering(OK).await;
    let grpc = GrpcBackend::start("api-1", Ipv4Addr::LOCALHOST, None).await;
    let tries = Tries::All(vec![
        Try { port: None, kind: path("/health") },
        at(admin.address, path("/ready")),
        at(grpc.address(), ProbeKind::Grpc(GrpcProbe::default())),
        Try { port: None, kind: ProbeKind::Tcp },
    ]);
    let mut rig = Rig::start(set([("api-1", probing(web.address, tries, LONG))]));
    assert!(rig.take(5).await.iter().all(|sample| sample.outcome.is_pass()));
    let (web, admin) = (web.seen(), admin.seen());
    assert_eq!((admin.connections, grpc.seen().connections), (1, 1));
    assert_eq!(web.connections - web.ends.len(), 1, "one for requests, and one a probe that is closed at once");
    assert!(web.requests.iter().all(|request| request.starts_with("GET /health ")), "{:?}", web.requests);
    assert!(admin.requests.iter().all(|request| request.starts_with("GET /ready ")), "{:?}", admin.requests);

    grpc.answer(Health::Tells(2));
    let port = grpc.address().port();
    rig.take(2).await;
    let sample = rig.sample().await;
    assert_eq!(words(&sample.outcome), format!("gRPC at port {port}: answered NOT_SERVING"));
    let Outcome::Fail(failure) = sample.outcome else { panic!("it fails") };
    assert!(!failure.is_out_of_reach());
}

#[tokio::test]
async fn any_of_them_passes_and_all_that_fail_are_named() {
    let well = Server::answering(OK).await;
    let unwell = Server::answering("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").await;
    let refusing = Refusing::new();
    let tries = |list: &[&SocketAddr]| list.iter().map(|it| at(**it, path("/health"))).collect::<Vec<_>>();
    let all = [&unwell.address, &refusing.address, &well.address];
    let outcome = outcome_of(probing(well.address, Tries::Any(tries(&all)), LONG)).await;
    assert_eq!(outcome, Outcome::Pass);
    for tries in [Tries::All(tries(&all)), Tries::Any(tries(&all[..2]))] {
        let outcome = outcome_of(probing(well.address, tries, LONG)).await;
        let (one, two) = (unwell.address.port(), refusing.address.port());
        let expected = format!("GET /health at port {one}: answered 503; GET /health at port {two}: cannot connect: ");
        assert!(words(&outcome).starts_with(&expected), "{outcome:?}");
    }
}

#[tokio::test]
async fn one_timeout_is_for_all() {
    let hanging = Server::start(|_| vec![Act::Hang]).await;
    let well = Server::answering(OK).await;
    let tries = || vec![at(hanging.address, http()), at(hanging.address, path("/2")), at(well.address, path("/3"))];
    let sample = Rig::start(set([("api-1", probing(well.address, Tries::All(tries()), SHORT))])).sample().await;
    let Outcome::Fail(Failure::Tries { failed, passed: true }) = &sample.outcome else { panic!("{sample:?}") };
    assert!(failed.iter().all(|(_, failure)| *failure == Failure::Timeout) && failed.len() == 2, "{failed:?}");
    assert!(sample.latency < 2 * SHORT, "side by side: {:?}", sample.latency);
    // One that passes at once is not slow for those that do not.
    let target = probing(well.address, Tries::Any(tries()), SHORT);
    let target = ProbeTarget { probe: Probe { latency: Some(SHORT / 2), ..target.probe }, ..target };
    let sample = Rig::start(set([("api-1", target)])).sample().await;
    assert!(sample.outcome.is_pass() && sample.latency < SHORT, "{sample:?}");
}

/// A connection's certificate is told for as long as it is open, so that the one that ends first is not forgotten for another.
#[tokio::test]
async fn certificates_are_told_together() {
    let pair = pair("api.acecinema.fr", None);
    let acceptor = acceptor(&pair, &[]);
    let (kept, closing) = (
        Server::start_tls(acceptor.clone(), OK).await,
        Server::start_tls(acceptor, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await,
    );
    let kind = || http_with(Some(hostname("api.acecinema.fr").as_str()), Some(tls(None, false)), &["200"]);
    let tries = Tries::All(vec![at(kept.address, kind()), at(closing.address, kind())]);
    let mut rig = Rig::start(set([("api-1", probing(kept.address, tries, LONG))]));
    let samples = rig.take(3).await;
    assert!(samples.iter().all(|sample| sample.told.certificate_ends.is_some()), "{samples:?}");
    assert_eq!(kept.seen().connections, 1);
}
