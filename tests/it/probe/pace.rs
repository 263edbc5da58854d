use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bascule::core::health::{Failure, Outcome};
use bascule::core::inventory::ProbeKind;
use bascule::probe::ProberSettings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::rig::{DEADLINE, OK, Rig, every, http, name, rerun, set, settings, target, timing_out};
use super::server::{Act, Server};

const HOUR: Duration = Duration::from_hours(1);

fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_new_backend_is_probed_at_once() {
    let server = Server::answering(OK).await;
    let mut rig = Rig::start(set([("api-1", every(HOUR, target(server.address, http())))]));
    assert_eq!(rig.sample().await.backend, name("api-1"));
    rig.targets.send_replace(Arc::new(set([
        ("api-1", every(HOUR, target(server.address, http()))),
        ("api-2", every(HOUR, target(server.address, http()))),
    ])));
    assert_eq!(rig.sample().await.backend, name("api-2"));
}

#[tokio::test]
async fn a_backend_that_clients_meet_errors_of_is_probed_at_once() {
    let server = Server::answering(OK).await;
    let asked_seldom = || every(HOUR, target(server.address, http()));
    let mut rig = Rig::start(set([("api-1", asked_seldom()), ("api-2", asked_seldom())]));
    rig.take(2).await;
    for text in ["api-1", "api-3", "api-2", "api-2"] {
        rig.suspicions.tell(&name(text));
    }
    let asked: BTreeSet<_> = rig.take(2).await.into_iter().map(|sample| sample.backend).collect();
    assert_eq!(asked, BTreeSet::from([name("api-1"), name("api-2")]));
}

#[tokio::test]
async fn a_change_leaves_the_others_their_connections() {
    let kept = Server::answering(OK).await;
    let other = Server::answering(OK).await;
    let with = |upstream, text| set([("api-1", target(kept.address, http())), (text, target(upstream, http()))]);
    let mut rig = Rig::start(with(other.address, "api-2"));
    rig.take(6).await;
    for text in ["api-3", "api-4", "api-5"] {
        rig.targets.send_replace(Arc::new(with(other.address, text)));
        while rig.sample().await.backend != name(text) {}
        rig.take(4).await;
    }
    assert_eq!(kept.seen().connections, 1);
    assert_eq!(other.seen().connections, 4);
}

#[tokio::test]
async fn removal_stops_probing() {
    let mut removed = Server::answering(OK).await;
    let kept = Server::answering(OK).await;
    let mut rig =
        Rig::start(set([("api-1", target(kept.address, http())), ("api-2", target(removed.address, http()))]));
    rig.take(6).await;
    rig.targets.send_replace(Arc::new(set([("api-1", target(kept.address, http()))])));
    // Its connection is closed with it.
    removed.wait(|seen| !seen.ends.is_empty()).await;
    let asked = removed.seen().requests.len();
    while let Ok(sample) = rig.samples.try_recv() {
        drop(sample);
    }
    assert!(rig.take(10).await.iter().all(|sample| sample.backend == name("api-1")));
    assert_eq!(removed.seen().requests.len(), asked);
}

#[tokio::test]
async fn a_sample_of_the_old_address_never_comes_after_the_change() {
    let mut old =
        Server::start(|_| vec![Act::Hold, Act::Send(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n".into())]).await;
    let new = Server::answering(OK).await;
    let mut rig = Rig::start(set([("api-1", target(old.address, http()))]));
    old.wait(|seen| seen.held == 1).await;
    rig.targets.send_replace(Arc::new(set([("api-1", target(new.address, http()))])));
    assert_eq!(rig.sample().await.outcome, Outcome::Pass);
    old.release();
    old.wait(|seen| !seen.ends.is_empty()).await;
    assert!(rig.take(5).await.iter().all(|sample| sample.outcome.is_pass()));
}

#[tokio::test]
async fn a_slow_backend_is_never_asked_twice_at_a_time() {
    // Each answer takes 20 × 10 ms, four intervals.
    let server =
        Server::start(|_| vec![send("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n"), Act::Drip(vec![b'x'; 20])]).await;
    let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
    let mut ended_before = None;
    for sample in rig.take(5).await {
        assert!(sample.outcome.is_pass());
        let ended = sample.at.unix_millis();
        let began = ended - i64::try_from(sample.latency.as_millis()).expect("short");
        // Both are cut to the millisecond.
        assert!(ended_before.is_none_or(|before| began >= before - 1), "{began} before {ended_before:?}");
        ended_before = Some(ended);
    }
    assert_eq!(server.seen().connections, 1);
    assert!(rig.stats.snapshot().skipped >= 5, "{:?}", rig.stats.snapshot());
}

#[tokio::test]
async fn no_more_probes_run_than_allowed() {
    let mut server = Server::start(|_| vec![Act::Hold, send(OK)]).await;
    let names: Vec<String> = (0..20).map(|number| format!("api-{number}")).collect();
    let backends = names.iter().map(|text| (name(text), every(HOUR, target(server.address, http()))));
    let mut rig = Rig::bounded(4, 1024, backends.collect());
    // The first probes get half of the slots.
    server.wait(|seen| seen.held == 2).await;
    rig.wait(|stats| stats.lag > Duration::from_millis(200)).await;
    assert_eq!(rig.stats.snapshot().in_flight, 2);
    for _ in 0..20 {
        server.release();
        rig.sample().await;
    }
    assert_eq!(server.seen().held_most, 2);
    assert_eq!(server.seen().requests.len(), 20);
}

#[tokio::test]
async fn a_slow_receiver_slows_probing_down_and_loses_nothing() {
    let server = Server::answering(OK).await;
    let names: Vec<String> = (0..10).map(|number| format!("api-{number}")).collect();
    let backends = names.iter().map(|text| (name(text), target(server.address, http())));
    let mut rig = Rig::bounded(4, 1, backends.collect());
    // Nobody receives: one sample is in the channel, and one in each slot that was taken.
    let early = rig.wait(|stats| stats.lag > Duration::from_millis(500)).await;
    let late = rig.wait(|stats| stats.lag > Duration::from_secs(1)).await;
    assert_eq!(late.made, early.made, "it stands still");
    assert_eq!(late.made, late.in_flight + 1);
    assert!(late.in_flight <= 4, "{late:?}");
    let samples = rig.take(100).await;
    let seen: BTreeSet<_> = samples.iter().map(|sample| sample.backend.clone()).collect();
    assert_eq!(seen.len(), 10);
    rig.shutdown.cancel();
    let stats = rig.stats.clone();
    let left = rig.ended().await.len();
    let lost = stats.snapshot().made - u64::try_from(100 + left).expect("few");
    assert!(lost <= 4, "only what had no room at the end is lost: {lost}");
}

#[tokio::test]
async fn shutdown_waits_for_probes_but_not_for_turns() {
    let mut server = Server::start(|_| vec![Act::Hold, send(OK)]).await;
    let rig = Rig::start(set([("api-1", every(HOUR, target(server.address, http())))]));
    server.wait(|seen| seen.held == 1).await;
    rig.shutdown.cancel();
    server.release();
    let left = rig.ended().await;
    assert_eq!(left.len(), 1, "the probe that ran was ended");
    assert!(left[0].outcome.is_pass());

    let mut hanging = Server::start(|_| vec![Act::Hang]).await;
    let timeout = Duration::from_millis(400);
    let rig = Rig::start(set([("api-1", timing_out(hanging.address, http(), timeout))]));
    hanging.wait(|seen| !seen.requests.is_empty()).await;
    rig.shutdown.cancel();
    let begun = std::time::Instant::now();
    let left = rig.ended().await;
    assert!(begun.elapsed() < timeout * 3, "{:?}", begun.elapsed());
    assert_eq!(left.last().expect("a sample").outcome, Outcome::Fail(Failure::Timeout));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_receiver_that_is_full() {
    let server = Server::answering(OK).await;
    let backends = ["api-1", "api-2", "api-3"].map(|text| (text, target(server.address, http())));
    let rig = Rig::bounded(8, 1, set(backends));
    rig.wait(|stats| stats.made >= 3).await;
    rig.shutdown.cancel();
    assert_eq!(rig.ended().await.len(), 1);
}

#[tokio::test]
async fn it_ends_when_nobody_receives() {
    let server = Server::answering(OK).await;
    let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
    rig.sample().await;
    rig.samples.close();
    rig.ended().await;
}

#[tokio::test]
async fn a_set_without_a_sender_is_probed_on() {
    let server = Server::answering(OK).await;
    let mut rig = Rig::start(set([("api-1", target(server.address, http()))]));
    let (unused, _) = tokio::sync::watch::channel(Arc::new(set([])));
    drop(std::mem::replace(&mut rig.targets, unused));
    assert!(rig.take(10).await.iter().all(|sample| sample.outcome.is_pass()));
}

/// Lowers the limit on open files, so this runs in a process of its own.
#[tokio::test]
async fn a_lack_of_files_is_the_probers_fault_and_can_be_kept_out() {
    const NAME: &str = "probe::pace::a_lack_of_files_is_the_probers_fault_and_can_be_kept_out";
    const ADDRESS: &str = "BASCULE_TEST_FILES_ADDRESS";
    const LIMIT: u64 = 600;
    let Ok(address) = std::env::var(ADDRESS) else {
        let server = Server::answering(OK).await;
        return rerun(NAME, &[(ADDRESS, &server.address.to_string())]).await;
    };
    let address = address.parse().expect("an address");
    let names: Vec<String> = (0..700).map(|number| format!("api-{number}")).collect();
    let backends = || names.iter().map(|text| (name(text), every(DEADLINE, target(address, http())))).collect();
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum }).expect("a lower limit is allowed");

    let frugal = ProberSettings { concurrency: 64.try_into().expect("not zero"), ..settings() };
    let mut rig = Rig::start_with(frugal.clone().within_open_files(LIMIT), 1024, backends());
    assert!(rig.take(700).await.iter().all(|sample| sample.outcome.is_pass()));
    assert_eq!(rig.stats.snapshot().prober_failures, 0);
    rig.shutdown.cancel();
    rig.ended().await;

    let mut rig = Rig::start_with(frugal, 1024, backends());
    let samples = rig.take(700).await;
    let faults = samples.iter().filter(|sample| matches!(sample.outcome, Outcome::Fail(Failure::Prober(_))));
    let faults = u64::try_from(faults.count()).expect("few");
    assert!(faults >= 50, "{faults}");
    assert!(rig.stats.snapshot().prober_failures >= faults);
    assert!(samples.iter().all(|it| it.outcome.is_pass() || !it.outcome.tells_of_backend()), "nobody is blamed");
}

#[tokio::test]
async fn kinds_differ_by_backend() {
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let mut rig = Rig::start(set([
        ("http-1", every(HOUR, target(server.address, http()))),
        ("tcp-1", every(HOUR, target(server.address, ProbeKind::Tcp))),
    ]));
    let mut samples = rig.take(2).await;
    samples.sort_by(|one, other| one.backend.cmp(&other.backend));
    let outcomes: Vec<_> = samples.into_iter().map(|sample| sample.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fail(Failure::Status(500)), Outcome::Pass]);
}
