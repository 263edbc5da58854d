use super::{Exclusion, Inputs, Member, Role};
use crate::core::health::Verdict;

/// Takes out backends that report to drain, where their service listens to reports: not one that an operator forces, and only
/// while another one of the service is up and does not. Observation alone never empties a pool.
pub(super) fn heed(inputs: &Inputs<'_>, members: &mut [Member]) {
    let drains = |member: &Member| {
        let health = inputs.observed.backends.get(&member.backend.name);
        let says_so = health.is_some_and(|health| health.told.drains());
        says_so && member.backend.probe.report && member.role == Role::InRotation && member.overridden.is_none()
    };
    let stays = |member: &Member| member.role == Role::InRotation && member.verdict == Verdict::Up && !drains(member);
    if !members.iter().any(stays) {
        return;
    }
    for member in members.iter_mut().filter(|member| drains(member)) {
        member.role = Role::Out(Exclusion::Reported);
    }
}

/// How much of its share a backend asks for, where its service listens to reports and no operator decided about it.
pub(super) fn asked(inputs: &Inputs<'_>, members: &mut [Member]) {
    for member in members.iter_mut().filter(|member| member.backend.probe.report && member.overridden.is_none()) {
        let health = inputs.observed.backends.get(&member.backend.name);
        member.share = health.map_or(WHOLE, |health| health.share.percent());
    }
}

/// All of a share, in percent.
pub(super) const WHOLE: u8 = 100;
