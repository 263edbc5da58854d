//! Guards: how much observation may take out. What it would take out beyond that is held in rotation.

mod inventory;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

pub use self::inventory::InventoryGuard;
pub(super) use self::inventory::held;

use super::policy::Candidate;
use super::{Exclusion, Member, Role};
use crate::core::health::Verdict;
use crate::core::inventory::{Policy, Service, WhenAllDown};
use crate::core::model::BackendName;

/// What holds a backend in rotation that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// The guard of its service.
    Service,
    /// The guard of the whole inventory.
    Inventory,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "its service's guard",
            Self::Inventory => "the inventory's guard",
        })
    }
}

/// Holds in rotation what observation may not take out. Before a policy looks at it: a tier that is left for want of
/// backends is left by observation too.
///
/// An operator's word is no observation: what it takes out is never held, and nothing is held to make up for it. Where all
/// are down nothing is held either, if all are tried then anyway. `held` are those that the inventory's guard holds.
pub(super) fn hold(service: &Service, members: &[Member], held: &BTreeSet<BackendName>, candidates: &mut [Candidate]) {
    let is_alive = candidates.iter().any(|candidate| !candidate.is_down);
    let tries_all = service.routing.when_all_down == WhenAllDown::ServeAll;
    if matches!(service.routing.policy, Policy::Single { .. }) || (!is_alive && tries_all) {
        return;
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.is_down) {
        if held.contains(&members[candidate.index].backend.name) {
            candidate.guard = Some(Guard::Inventory);
            candidate.is_down = false;
        }
    }
    let allowed = candidates.len().saturating_sub(needed(service, members));
    let mut downs: Vec<&mut Candidate> = candidates.iter_mut().filter(|candidate| candidate.is_down).collect();
    let excess = downs.len().saturating_sub(allowed);
    // What only flaps passes now, and is the better one to hold; then what has served until a moment ago.
    downs.sort_by_key(|candidate| (candidate.verdict == Verdict::Down, Reverse(candidate.since), candidate.index));
    for candidate in downs.into_iter().take(excess) {
        candidate.guard = Some(Guard::Service);
        candidate.is_down = false;
    }
}

/// How many of the backends that only probes speak against must stay in: what the guard asks for, less what operators took
/// out.
pub(super) fn needed(service: &Service, members: &[Member]) -> usize {
    let Some(minimum) = service.routing.guard else { return 0 };
    let declared = members.iter().filter(|member| !matches!(member.role, Role::Out(why) if why.is_declared())).count();
    let is_overridden = |member: &&Member| matches!(member.role, Role::Out(Exclusion::Overridden(_)));
    minimum.of(declared).saturating_sub(members.iter().filter(is_overridden).count())
}

/// Tells in the roles what serves only since a guard holds it.
pub(super) fn name(candidates: &[Candidate], members: &mut [Member]) {
    for candidate in candidates {
        let role = &mut members[candidate.index].role;
        if let (Some(guard), Role::InRotation) = (candidate.guard, *role) {
            *role = Role::Guarded(guard);
        }
    }
}
