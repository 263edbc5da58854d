use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::inventory::{Backend, Policy};
use crate::core::model::BackendName;
use crate::core::routing::{EffectiveService, Exclusion, Member, Role};

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
                Exclusion::Down | Exclusion::Recovering | Exclusion::Flapping { .. } | Exclusion::Overridden(_),
            ) => self.kept.contains(&member.backend.name),
            Role::Out(Exclusion::Drain | Exclusion::Disabled | Exclusion::WeightZero | Exclusion::Maintenance) => false,
        }
    }

    /// The backends of each tier that has any, the preferred tier first. Those that wait are in it only where a relay can
    /// keep requests from them.
    pub(super) fn tiers<'e>(&self, effective: &'e EffectiveService, waiting: Waiting) -> Vec<Vec<&'e Arc<Backend>>> {
        let is_in = |member: &&Member| {
            let waits = matches!(member.role, Role::Out(Exclusion::HeldBack | Exclusion::TierTooSmall));
            self.has(member) && !(waits && waiting == Waiting::LeftOut)
        };
        let mut tiers: Vec<(usize, Vec<&'e Arc<Backend>>)> = Vec::new();
        for member in effective.members.iter().filter(is_in) {
            match tiers.last_mut() {
                Some((tier, backends)) if *tier == member.tier => backends.push(&member.backend),
                _ => tiers.push((member.tier, vec![&member.backend])),
            }
        }
        tiers.into_iter().map(|(_, backends)| backends).collect()
    }

    /// The backends of the last link: all that are declared to take traffic and that no operator took out. Of a service
    /// that has one backend at a time, that one.
    pub(super) fn everything<'e>(&self, effective: &'e EffectiveService) -> Vec<&'e Arc<Backend>> {
        let is_single = matches!(effective.service.routing.policy, Policy::Single { .. });
        let belongs = |member: &&Member| match member.role {
            Role::InRotation | Role::Guarded(_) | Role::LastResort => true,
            Role::Out(Exclusion::Overridden(_)) => self.kept.contains(&member.backend.name),
            Role::Standby => !is_single,
            Role::Out(why) => !is_single && !why.is_declared(),
        };
        let mut members: Vec<_> = effective.members.iter().filter(belongs).collect();
        // What is believed in comes first. Only as far as the links before say it too, so that a verdict moves nothing here.
        members.sort_by_key(|member| !self.has(member));
        members.into_iter().map(|member| &member.backend).collect()
    }
}
