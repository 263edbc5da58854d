//! Looking at tunnels: gateways are asked for a connection, WireGuard interfaces for their peers.

mod peers;
mod program;
mod uapi;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub use self::peers::{PeerError, Peers, read_peers};
pub use self::program::read_by_program;
pub use self::uapi::read_by_socket;
use super::dial::dial_and_close;
use super::prober::Clock;
use crate::core::health::{Failure, Outcome, TunnelSample, TunnelSeen};
use crate::core::inventory::{Desired, Tunnel, WireguardPeer};
use crate::core::model::{GatewayAddress, InterfaceName, SiteName};

/// Tunnels by site.
pub type TunnelSet = BTreeMap<SiteName, Arc<Tunnel>>;

/// Looks that may wait for whoever judges them: two for each of a hundred sites.
pub const LOOKS_BOUND: usize = 256;

/// Between two questions to a gateway. A site's backends are asked about as often: who is down first does not matter, both
/// are known within seconds.
const GATEWAY_INTERVAL: Duration = Duration::from_secs(2);
/// For a gateway's answer. A lost first packet is sent again after a second.
const GATEWAY_TIMEOUT: Duration = Duration::from_millis(1500);
/// Between two looks at an interface. Its times are minutes; a look costs a socket or two short processes.
const PEERS_INTERVAL: Duration = Duration::from_secs(5);

/// The tunnels of an inventory.
pub fn tunnel_set(desired: &Desired) -> TunnelSet {
    let declared = desired.sites.values().filter_map(|site| Some((site.name.clone(), site.tunnel.clone()?)));
    declared.map(|(site, tunnel)| (site, Arc::new(tunnel))).collect()
}

/// Looks at the tunnels of a set.
pub struct TunnelProber {
    /// Stamps looks.
    pub clock: Clock,
    /// What is looked at.
    pub targets: watch::Receiver<Arc<TunnelSet>>,
    /// Where looks go.
    pub looks: mpsc::Sender<TunnelSample>,
}

impl TunnelProber {
    /// Looks at the newest set until shutdown, or until nobody wants to know.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { clock, mut targets, looks } = self;
        let mut ask = interval(GATEWAY_INTERVAL);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read = interval(PEERS_INTERVAL);
        read.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut floor = Floor { clock, looks, tasks: JoinSet::new(), busy: BTreeSet::new() };
        let mut has_sender = true;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = floor.looks.closed() => break,
                Some(ended) = floor.tasks.join_next() => match ended {
                    Ok(errand) => _ = floor.busy.remove(&errand),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                changed = targets.changed(), if has_sender => {
                    has_sender = changed.is_ok();
                    ask.reset_immediately();
                    read.reset_immediately();
                }
                _ = ask.tick() => floor.ask(&Arc::clone(&targets.borrow_and_update())),
                _ = read.tick() => floor.read(&Arc::clone(&targets.borrow_and_update())),
            }
        }
        // What is under way is dropped: nobody judges it any more.
    }
}

/// Where looks are taken: one at a time for each gateway and each interface, so that slow ones do not pile up.
struct Floor {
    clock: Clock,
    looks: mpsc::Sender<TunnelSample>,
    tasks: JoinSet<Errand>,
    busy: BTreeSet<Errand>,
}

/// What a task is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    Gateway(SiteName),
    Interface(InterfaceName),
}

impl Floor {
    fn ask(&mut self, set: &TunnelSet) {
        for (site, tunnel) in set {
            let Some(gateway) = tunnel.gateway else { continue };
            let errand = Errand::Gateway(site.clone());
            if self.busy.insert(errand.clone()) {
                let (site, tunnel, report) = (site.clone(), Arc::clone(tunnel), self.report());
                self.tasks.spawn(async move {
                    let seen = TunnelSeen::Gateway(ask(gateway).await);
                    report.tell(site, tunnel, seen).await;
                    errand
                });
            }
        }
    }

    /// One look at an interface serves all sites that are its peers.
    fn read(&mut self, set: &TunnelSet) {
        let mut interfaces: BTreeMap<&InterfaceName, Vec<(SiteName, Arc<Tunnel>)>> = BTreeMap::new();
        for (site, tunnel) in set {
            let Some(WireguardPeer { interface, .. }) = &tunnel.wireguard else { continue };
            interfaces.entry(interface).or_default().push((site.clone(), Arc::clone(tunnel)));
        }
        for (interface, sites) in interfaces {
            let errand = Errand::Interface(interface.clone());
            if self.busy.insert(errand.clone()) {
                let (interface, report) = (interface.clone(), self.report());
                self.tasks.spawn(async move {
                    let peers = read_peers(&interface).await;
                    for (site, tunnel) in sites {
                        let seen = seen(&interface, &tunnel, peers.as_ref());
                        report.tell(site, tunnel, seen).await;
                    }
                    errand
                });
            }
        }
    }

    fn report(&self) -> Report {
        Report { clock: Arc::clone(&self.clock), looks: self.looks.clone() }
    }
}

struct Report {
    clock: Clock,
    looks: mpsc::Sender<TunnelSample>,
}

impl Report {
    async fn tell(&self, site: SiteName, tunnel: Arc<Tunnel>, seen: TunnelSeen) {
        let sample = TunnelSample { site, tunnel, at: (self.clock)(), seen };
        // Fails only when nobody judges any more, which ends the loop too.
        let _ = self.looks.send(sample).await;
    }
}

async fn ask(gateway: GatewayAddress) -> Outcome {
    match timeout(GATEWAY_TIMEOUT, dial_and_close(gateway.socket())).await {
        Ok(Ok(())) => Outcome::Pass,
        Ok(Err(failure)) => Outcome::Fail(failure),
        Err(_) => Outcome::Fail(Failure::Timeout),
    }
}

/// What an interface said of one of its peers.
fn seen(interface: &InterfaceName, tunnel: &Tunnel, peers: Result<&Peers, &PeerError>) -> TunnelSeen {
    let Some(WireguardPeer { peer, .. }) = &tunnel.wireguard else {
        return TunnelSeen::Unreadable("no peer is declared".to_owned());
    };
    match peers.map(|peers| peers.get(peer)) {
        Ok(Some(reading)) => TunnelSeen::Peer(*reading),
        Ok(None) => {
            let short = peer.short();
            TunnelSeen::Unreadable(format!("{interface} has no peer {short}: compare with `wg show {interface} peers`"))
        }
        Err(error) => TunnelSeen::Unreadable(super::dial::words(error)),
    }
}
