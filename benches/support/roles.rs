//! The parts of bascule that are measured, each in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bascule::app::now;
use bascule::controller::RelayLog;
use bascule::core::caddy::relay::answer;
use bascule::core::model::DialAddress;
use bascule::edge::{Asked, RelayServer};
use bascule::probe::{Prober, ProberSettings, SAMPLES_BOUND, probe_set, raise_open_files};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fleet::{Asks, Doors, Fleet, planned};
use super::process::{Fault, Part, tell};

/// First arguments of the children.
pub(crate) const ANSWER: &str = "answer";
pub(crate) const PROBE: &str = "probe";

/// Starts a child that knows the same fleet, and waits until it is ready.
pub(crate) fn start(role: &str, fleet: &Fleet) -> Result<Part, Fault> {
    let Doors { public, admin, relay, bascule } = fleet.doors;
    let mut args = vec![role.to_owned(), fleet.upstreams.to_string()];
    args.extend([public, admin, relay, bascule].iter().chain(&fleet.ports).map(u16::to_string));
    let mut part = Part::start(&args)?;
    let _: u64 = part.hear()?;
    Ok(part)
}

/// The child's side: what its arguments after the first say.
pub(crate) fn fleet_of(args: &[String]) -> Result<Fleet, Fault> {
    let (upstreams, ports) = args.split_first().ok_or("no number of upstreams")?;
    let ports = ports.iter().map(|port| port.parse()).collect::<Result<Vec<u16>, _>>()?;
    let [public, admin, relay, bascule, ports @ ..] = &ports[..] else { return Err("too few ports".into()) };
    let doors = Doors { public: *public, admin: *admin, relay: *relay, bascule: *bascule };
    Ok(Fleet { upstreams: upstreams.parse()?, ports: ports.to_vec(), doors })
}

/// Answers the relay of the fleet's edge as `bascule run` does: from the plan, with a note of who asked.
pub(crate) async fn answer_relay(fleet: &Fleet) -> Result<(), Fault> {
    let desired = fleet.desired(Asks::Relay)?;
    let effective = planned(&desired, None);
    let address = DialAddress::Tcp { host: "127.0.0.1".to_owned(), port: fleet.doors.bascule.try_into()? };
    let server = RelayServer::bind(&address).await?;
    let (answers, heard) = (Arc::new(AtomicU64::new(0)), RelayLog::default());
    let counted = Arc::clone(&answers);
    let respond = move |asked: Asked<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let edge = desired.edges.get(&asked.edge.parse().ok()?)?;
        heard.note(&edge.name);
        Some(answer(&effective, asked.service, asked.upstream).unwrap_or(false))
    };
    let serving = tokio::spawn(server.serve(Arc::new(respond), CancellationToken::new()));
    println!("{}", answers.load(Ordering::Relaxed));
    tell(answers).await?;
    serving.abort();
    Ok(())
}

/// Probes the fleet's backends as `bascule run` does; what is found is counted and dropped.
pub(crate) async fn probe(fleet: &Fleet) -> Result<(), Fault> {
    let set = probe_set(&fleet.desired(Asks::Backends)?);
    let settings = ProberSettings::new(Arc::new(now)).within_open_files(raise_open_files()?);
    let (_targets, targets) = watch::channel(Arc::new(set));
    let (samples_tx, mut samples) = mpsc::channel(SAMPLES_BOUND);
    let passes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&passes);
    tokio::spawn(Prober::new(settings)?.run(targets, samples_tx, CancellationToken::new()));
    tokio::spawn(async move {
        while let Some(sample) = samples.recv().await {
            counted.fetch_add(u64::from(sample.outcome.is_pass()), Ordering::Relaxed);
        }
    });
    println!("{}", passes.load(Ordering::Relaxed));
    tell(passes).await
}
