use super::{Answer, Candidate, Question};
use crate::core::inventory::{Failback, Tier};
use crate::core::model::Timestamp;
use crate::core::routing::{Choice, Exclusion, Ramp, Rise, Role};

/// The first tier with enough backends serves. A tier that was left serves again by the rule of failback; one that fails
/// is left at once, since its backends have failed often enough to be judged down.
pub(super) fn answer(question: &Question<'_>, tiers: &[Tier], min_healthy: u32) -> Answer {
    let mut answer = Answer::default();
    let states: Vec<State> = (0..tiers.len()).map(|tier| State::of(question.candidates, tier, min_healthy)).collect();
    let before = match &question.choice {
        Some(Choice::Tier(tier)) => tiers.iter().position(|it| it == tier),
        Some(Choice::Backend(_)) | None => None,
    };
    let active = choose(question, &states, before, &mut answer);
    if let Some((ramp, next_at)) = ramp(question, &states, before, active) {
        answer.ramp = Some(ramp);
        answer.again_at(next_at);
    }
    let leaving = answer.ramp.map(|ramp| ramp.from);
    for candidate in question.candidates {
        let role = match (candidate.is_down, candidate.tier.cmp(&active)) {
            (true, _) => Role::Out(Exclusion::Down),
            (false, std::cmp::Ordering::Equal) => Role::InRotation,
            (false, _) if leaving == Some(candidate.tier) => Role::InRotation,
            (false, std::cmp::Ordering::Greater) => Role::Standby,
            (false, std::cmp::Ordering::Less) if states[candidate.tier].can_serve => Role::Out(Exclusion::HeldBack),
            (false, std::cmp::Ordering::Less) => Role::Out(Exclusion::TierTooSmall),
        };
        answer.roles.push((candidate.index, role));
    }
    answer.choice = tiers.get(active).cloned().map(Choice::Tier);
    answer
}

/// How far traffic has come back from a tier that serves well to one that is preferred, and when it takes the next step.
fn ramp(question: &Question<'_>, states: &[State], before: Option<usize>, active: usize) -> Option<(Ramp, Timestamp)> {
    let length = question.service.routing.ramp?;
    let (from, since) = match before? {
        before if before > active && states[before].can_serve => (before, question.now),
        before if before == active => question.ramp?,
        _ => return None,
    };
    // The other one is left as soon as it fails, and one that is preferred to both is waited for without it.
    if from <= active || states.get(from).is_none_or(|state| state.usable == 0) {
        return None;
    }
    let (rise, next_at) = Rise::at(question.now, since, length)?;
    Some((Ramp { from, rise }, next_at))
}

/// How a tier stands.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Backends that are not down.
    usable: usize,
    /// True when these are enough.
    can_serve: bool,
    /// Since when enough of them have been up without a break.
    steady_since: Option<Timestamp>,
}

impl State {
    fn of(candidates: &[Candidate], tier: usize, min_healthy: u32) -> Self {
        let of_tier = || candidates.iter().filter(|candidate| candidate.tier == tier);
        let usable = of_tier().filter(|candidate| !candidate.is_down).count();
        let need = usize::try_from(min_healthy).unwrap_or(usize::MAX);
        let mut ups: Vec<_> = of_tier().filter_map(Candidate::up_since).collect();
        ups.sort_unstable();
        // With the need-th of them there were enough.
        let steady_since = need.checked_sub(1).and_then(|last| ups.get(last)).copied();
        Self { usable, can_serve: usable >= need, steady_since }
    }
}

/// The tier that serves.
fn choose(question: &Question<'_>, states: &[State], before: Option<usize>, answer: &mut Answer) -> usize {
    let best = states.iter().position(|state| state.can_serve);
    let Some(best) = best else {
        // None has enough: the first with any, and with none at all the one before, or the first.
        let any = states.iter().position(|state| state.usable > 0);
        return any.or(before).unwrap_or(0);
    };
    let Some(before) = before.filter(|before| best < *before && states[*before].can_serve) else { return best };
    match question.service.routing.failback {
        Failback::Manual => before,
        Failback::After(hold) => {
            let ready_at = |state: &State| state.steady_since.map(|since| since.plus(hold));
            let preferred = &states[..before];
            for at in preferred.iter().filter(|state| state.can_serve).filter_map(ready_at) {
                if at > question.now {
                    answer.again_at(at);
                }
            }
            let is_ready = |state: &State| state.can_serve && ready_at(state).is_some_and(|at| at <= question.now);
            preferred.iter().position(is_ready).unwrap_or(before)
        }
    }
}
