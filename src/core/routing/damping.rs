use super::policy::Candidate;
use super::{Choice, Exclusion, Inputs, Member, Role};
use crate::core::model::Timestamp;

/// Takes backends for down that flip over and over, though they pass now: not one that an operator forces, and only while
/// another one of the service is known to be up. Observation alone never empties a pool.
///
/// The one backend of a service that has one at a time is left alone too: what it does when that one fails is said by
/// `confirm`, and to move it costs more than a flip.
pub(super) fn hold(inputs: &Inputs<'_>, members: &[Member], choice: Option<&Choice>, candidates: &mut [Candidate]) {
    let name = |candidate: &Candidate| &members[candidate.index].backend.name;
    for candidate in candidates.iter_mut().filter(|candidate| !candidate.is_down && !candidate.is_forced) {
        let health = inputs.observed.backends.get(name(candidate));
        candidate.held_until = health.and_then(|health| health.flap.hold(inputs.now));
    }
    let is_another_up = candidates.iter().any(|candidate| candidate.is_up() && candidate.held_until.is_none());
    for candidate in candidates {
        let is_chosen = matches!(choice, Some(Choice::Backend(chosen)) if chosen == name(candidate));
        candidate.held_until = candidate.held_until.filter(|_| is_another_up && !is_chosen);
        candidate.is_down |= candidate.held_until.is_some();
    }
}

/// Gives a reason to what a policy kept out for being held, and tells when the first hold ends.
pub(super) fn name(candidates: &[Candidate], members: &mut [Member]) -> Option<Timestamp> {
    for candidate in candidates {
        let role = &mut members[candidate.index].role;
        if let (Some(until), Role::Out(Exclusion::Down)) = (candidate.held_until, *role) {
            *role = Role::Out(Exclusion::Flapping { until });
        }
    }
    candidates.iter().filter_map(|candidate| candidate.held_until).min()
}
