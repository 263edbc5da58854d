use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::json::Upstream;
use super::slots::{passing_slots, slots};
use crate::core::inventory::{Backend, Policy, Service, Sticky};
use crate::core::model::BackendName;
use crate::core::routing::{EffectiveService, Exclusion, Member, Ramp, Role, quarters};

/// Which backends that get no traffic are rendered all the same.
///
/// A backend that is rendered needs no push to serve again: the relay says when. A backend that is down is better left out
/// at a push, since Caddy forgets at every load which upstreams are down and would send it requests until the first check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    kept: BTreeSet<BackendName>,
    waiting: Waiting,
}

/// What becomes of backends that are healthy and wait: for their failback time, or for others of their tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Waiting {
    /// They are rendered: the relay keeps requests from them, and they may be needed at any moment.
    #[default]
    Listed,
    /// They are not. Nobody would keep requests from them, since Caddy's own checks find them healthy.
    LeftOut,
}

impl Pool {
    /// Leaves out every backend that is out for what was observed or overridden.
    pub const fn strict() -> Self {
        Self { kept: BTreeSet::new(), waiting: Waiting::Listed }
    }

    /// The same for an edge whose relay does not ask: every backend is left out that should get no requests.
    pub const fn unasked() -> Self {
        Self { kept: BTreeSet::new(), waiting: Waiting::LeftOut }
    }

    /// Keeps these backends, though they are out for what was observed or overridden.
    pub fn keeping(kept: BTreeSet<BackendName>) -> Self {
        Self { kept, waiting: Waiting::Listed }
    }

    /// True for a backend that a tier's link has.
    pub fn has(&self, member: &Member) -> bool {
        match member.role {
            Role::InRotation | Role::Guarded(_) | Role::Standby => true,
            Role::Out(Exclusion::HeldBack | Exclusion::TierTooSmall) => self.waiting == Waiting::Listed,
            Role::LastResort
            | Role::Out(
                Exclusion::Down
                | Exclusion::Recovering
                | Exclusion::Flapping { .. }
                | Exclusion::Reported
                | Exclusion::Overridden(_),
            ) => self.kept.contains(&member.backend.name),
            Role::Out(Exclusion::Drain | Exclusion::Disabled | Exclusion::WeightZero | Exclusion::Maintenance) => false,
        }
    }

    /// The backends of each tier that has any, the preferred tier first. Those that wait are in it only where a relay can
    /// keep requests from them. While traffic moves back from one tier to another the two are one.
    pub(super) fn tiers<'e>(&self, effective: &'e EffectiveService, waiting: Waiting) -> Vec<Shares<'e>> {
        let is_in = |member: &&Member| {
            let waits = matches!(member.role, Role::Out(Exclusion::HeldBack | Exclusion::TierTooSmall));
            self.has(member) && !(waits && waiting == Waiting::LeftOut)
        };
        let ramp = effective.ramp.zip(chosen(effective));
        let mut tiers: BTreeMap<usize, Vec<&'e Member>> = BTreeMap::new();
        for member in effective.members.iter().filter(is_in) {
            let tier = match ramp {
                Some((Ramp { from, .. }, to)) if member.tier == from => to,
                _ => member.tier,
            };
            tiers.entry(tier).or_default().push(member);
        }
        tiers.into_values().map(|members| Shares::of(effective, members)).collect()
    }

    /// The backends of the last link: all that are declared to take traffic and that no operator took out. Of a service
    /// that has one backend at a time, that one.
    pub(super) fn everything<'e>(&self, effective: &'e EffectiveService) -> Vec<&'e Arc<Backend>> {
        let is_single = matches!(effective.service.routing.policy, Policy::Single { .. });
        let belongs = |member: &&Member| match member.role {
            Role::InRotation | Role::Guarded(_) | Role::LastResort => true,
            Role::Out(Exclusion::Overridden(_) | Exclusion::Reported) => self.kept.contains(&member.backend.name),
            Role::Standby => !is_single,
            Role::Out(why) => !is_single && !why.is_declared(),
        };
        let mut members: Vec<_> = effective.members.iter().filter(belongs).collect();
        // What is believed in comes first. Only as far as the links before say it too, so that a verdict moves nothing here.
        members.sort_by_key(|member| !self.has(member));
        members.into_iter().map(|member| &member.backend).collect()
    }
}

/// True where Caddy picks an upstream by the client's address. It hashes that with each upstream's own, so one that stands in
/// the list several times gets no more than one that stands there once (measured on 2.11.7): no weight and no step counts.
fn is_by_address(service: &Service) -> bool {
    service.routing.sticky == Some(Sticky::ClientAddress)
}

/// The tier that was chosen, where traffic moves back to one.
fn chosen(effective: &EffectiveService) -> Option<usize> {
    let from = effective.ramp?.from;
    let serving = effective.members.iter().filter(|member| member.role.gets_traffic());
    serving.map(|member| member.tier).find(|tier| *tier != from)
}

/// Backends of one link with their shares of its traffic.
#[derive(Debug)]
pub(super) struct Shares<'e> {
    pub(super) backends: Vec<&'e Arc<Backend>>,
    /// Their weights.
    pub(super) weights: Vec<u64>,
    /// True where the shares are on their way to others, or are what backends ask for at the moment.
    pub(super) is_passing: bool,
}

impl<'e> Shares<'e> {
    /// As their weights say, where those count.
    pub(super) fn declared(service: &Service, backends: &[&'e Arc<Backend>]) -> Self {
        if is_by_address(service) {
            return Self::even(backends);
        }
        let weights = backends.iter().map(|backend| u64::from(backend.weight)).collect();
        Self { backends: backends.to_vec(), weights, is_passing: false }
    }

    /// The same for each: a request that tries them one after the other comes to every one of them.
    pub(super) fn even(backends: &[&'e Arc<Backend>]) -> Self {
        Self { backends: backends.to_vec(), weights: vec![1; backends.len()], is_passing: false }
    }

    /// The addresses to dial, each as often as its share asks.
    pub(super) fn upstreams(&self) -> Vec<Upstream> {
        let dial = |index: usize| Upstream { dial: self.backends[index].upstream().to_string() };
        self.slots().into_iter().map(dial).collect()
    }

    /// How often each backend is among those.
    pub(super) fn places(&self) -> Vec<(&'e Arc<Backend>, u64)> {
        let mut places: Vec<_> = self.backends.iter().map(|backend| (*backend, 0)).collect();
        for index in self.slots() {
            places[index].1 += 1;
        }
        places
    }

    fn slots(&self) -> Vec<usize> {
        if self.is_passing { passing_slots(&self.weights) } else { slots(&self.weights) }
    }

    /// Of a tier, or of the two between which traffic moves.
    fn of(effective: &EffectiveService, members: Vec<&'e Member>) -> Self {
        if is_by_address(&effective.service) {
            return Self::even(&members.into_iter().map(|member| &member.backend).collect::<Vec<_>>());
        }
        let from = effective.ramp.map(|ramp| ramp.from);
        let sum = |is_leaving: bool| -> u64 {
            let serving = members.iter().filter(|member| member.role.gets_traffic());
            let side = serving.filter(|member| (Some(member.tier) == from) == is_leaving);
            side.map(|member| u64::from(member.backend.weight)).sum()
        };
        let (leaving, arriving) = (sum(true), sum(false));
        let is_ramp = leaving > 0 && arriving > 0;
        let weight = |member: &&Member| {
            let own = u64::from(member.backend.weight) * u64::from(quarters(member.rise)) * u64::from(member.share);
            match effective.ramp.filter(|_| is_ramp) {
                // Each side in all has its part, whatever its weights come to.
                Some(ramp) if member.tier == ramp.from => own * arriving * u64::from(ramp.rise.rest()),
                Some(ramp) => own * leaving * u64::from(ramp.rise.quarters),
                None => own,
            }
        };
        Self {
            weights: members.iter().map(weight).collect(),
            is_passing: is_ramp || members.iter().any(|member| member.rise.is_some() || member.share < 100),
            backends: members.into_iter().map(|member| &member.backend).collect(),
        }
    }
}
