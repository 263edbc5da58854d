use std::collections::BTreeMap;
use std::sync::Arc;

use super::{EventDto, FaultDto, SiteDto, SiteState, TunnelDto, TunnelState, WireguardDto};
use crate::core::health::{self, Event, Freshness, Layers, Observed, SiteCount, TUNNEL_STALE, TunnelHealth, Verdict};
use crate::core::inventory::{Desired, Site, Tunnel, WireguardPeer};
use crate::core::model::{SiteName, Timestamp, counted};

/// The sites with their tunnels, as they are at a moment.
#[derive(Debug)]
pub(super) struct Sites<'a> {
    desired: &'a Desired,
    layers: &'a Layers,
    counts: BTreeMap<SiteName, SiteCount>,
    now: Timestamp,
}

impl<'a> Sites<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &Observed, layers: &'a Layers, now: Timestamp) -> Self {
        Self { desired, layers, counts: SiteCount::of_all(desired, observed, now), now }
    }

    /// The sites, by name, with how each stands.
    pub(super) fn dtos(&self) -> Vec<SiteDto> {
        self.desired.sites.values().map(|site| self.dto(site)).collect()
    }

    fn dto(&self, site: &Arc<Site>) -> SiteDto {
        let unknown = SiteCount::default();
        let count = self.counts.get(&site.name).unwrap_or(&unknown);
        let tunnel = self.layers.tunnels.get(&site.name);
        SiteDto {
            name: site.name.to_string(),
            description: site.description.clone(),
            subnets: site.subnets.iter().map(ToString::to_string).collect(),
            tunnel: site.tunnel.as_ref().map(|declared| tunnel_dto(declared, tunnel, self.now)),
            state: count.state().into(),
            since: count.since,
            age_seconds: age(count.seen_at, self.now),
            cause: count.cause(tunnel).map(|cause| cause.to_string()),
            backends: number(count.backends),
            up: number(count.up),
            down: number(count.down),
            stale: number(count.stale),
        }
    }

    /// What is wrong with whole sites, and with the tunnels of those that are not down.
    pub(super) fn faults(&self) -> Vec<FaultDto> {
        let mut faults = Vec::new();
        let mut fault = |scope: String, message: String, since: Option<Timestamp>| {
            let since = since.unwrap_or(self.now);
            let age_seconds = self.now.since(since).as_secs();
            faults.push(FaultDto { scope, message, since, age_seconds, details: Vec::new() });
        };
        for site in self.desired.sites.keys() {
            let tunnel = self.layers.tunnels.get(site);
            let down = self.counts.get(site).and_then(|count| Some((count, count.cause(tunnel)?)));
            if let Some((count, cause)) = down {
                let backends = counted(u64::from(count.down), "backend");
                fault(format!("site {site}"), format!("down with {backends}: {cause}"), count.since);
            } else if let Some(tunnel) = tunnel.filter(|tunnel| tunnel.state == Verdict::Down) {
                fault(format!("tunnel {site}"), format!("down: {}", tunnel.cause), tunnel.since);
            }
        }
        faults
    }
}

pub(super) fn event_dto(event: &Event, now: Timestamp) -> EventDto {
    let Event { at, subject, from, to, cause, backends } = event;
    EventDto {
        at: *at,
        age_seconds: now.since(*at).as_secs(),
        subject: subject.to_string(),
        from: from.to_string(),
        to: to.to_string(),
        cause: cause.clone(),
        backends: *backends,
    }
}

/// Seconds since an observation.
pub(super) fn age(observed_at: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    observed_at.map(|at| now.since(at).as_secs())
}

fn tunnel_dto(declared: &Tunnel, health: Option<&TunnelHealth>, now: Timestamp) -> TunnelDto {
    let Tunnel { wireguard, gateway } = declared;
    let unknown = TunnelHealth::default();
    let health = health.unwrap_or(&unknown);
    let state = match (Freshness::of(health.seen_at, now, TUNNEL_STALE), health.state) {
        (Freshness::Stale, _) => TunnelState::Stale,
        (_, Verdict::Up) => TunnelState::Up,
        (_, Verdict::Down) => TunnelState::Down,
        (_, Verdict::Unknown) => TunnelState::Unknown,
    };
    let wireguard = wireguard.as_ref().map(|WireguardPeer { interface, peer }| WireguardDto {
        interface: interface.to_string(),
        peer: peer.to_string(),
        handshake_at: health.peer.and_then(|peer| peer.last_handshake),
        received_bytes: health.peer.map(|peer| peer.received),
        sent_bytes: health.peer.map(|peer| peer.sent),
        unreadable: health.unreadable.clone(),
    });
    TunnelDto {
        state,
        since: health.since,
        age_seconds: age(health.seen_at, now),
        cause: health.cause.clone(),
        wireguard,
        gateway: gateway.as_ref().map(ToString::to_string),
    }
}

fn number(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl From<health::SiteState> for SiteState {
    fn from(state: health::SiteState) -> Self {
        match state {
            health::SiteState::Up => Self::Up,
            health::SiteState::Down => Self::Down,
            health::SiteState::Partial => Self::Partial,
            health::SiteState::Stale => Self::Stale,
            health::SiteState::Unknown => Self::Unknown,
        }
    }
}
