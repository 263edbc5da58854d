use std::time::Duration;

use super::{Answer, Candidate, Question};
use crate::core::inventory::Failback;
use crate::core::routing::{Choice, Exclusion, Role};

/// One backend serves. It is left only for one that is known to be up, and only after it has been down for `confirm`: two
/// at a time may do more harm than none for a moment.
pub(super) fn answer(question: &Question<'_>, confirm: Duration) -> Answer {
    let mut answer = Answer::default();
    let chosen = choose(question, confirm, &mut answer);
    for candidate in question.candidates {
        let role = match (candidate.index == chosen.index, candidate.is_down) {
            (true, false) => Role::InRotation,
            // It stays the chosen one until another takes over.
            (true, true) => Role::LastResort,
            (false, false) => Role::Standby,
            (false, true) => Role::Out(Exclusion::Down),
        };
        answer.roles.push((candidate.index, role));
    }
    answer.choice = Some(Choice::Backend(question.members[chosen.index].backend.name.clone()));
    answer
}

fn choose(question: &Question<'_>, confirm: Duration, answer: &mut Answer) -> Candidate {
    let candidates = question.candidates;
    let name = |candidate: &Candidate| &question.members[candidate.index].backend.name;
    let best_up = candidates.iter().find(|candidate| candidate.is_up());
    let before = match &question.choice {
        Some(Choice::Backend(before)) => candidates.iter().find(|candidate| name(candidate) == before),
        Some(Choice::Tier(_)) | None => None,
    };
    let Some(before) = before else {
        let first_usable = candidates.iter().find(|candidate| !candidate.is_down);
        return *best_up.or(first_usable).unwrap_or(&candidates[0]);
    };
    let Some(other) = best_up.filter(|best| best.index != before.index) else { return *before };
    if before.is_down {
        let confirmed_at = before.since.unwrap_or(question.now).plus(confirm);
        if confirmed_at <= question.now {
            return *other;
        }
        answer.again_at(confirmed_at);
        return *before;
    }
    // What is preferred stands first among the candidates.
    if let (Failback::After(hold), true) = (question.service.routing.failback, other.tier < before.tier)
        && let Some(since) = other.up_since()
    {
        if since.plus(hold) <= question.now {
            return *other;
        }
        answer.again_at(since.plus(hold));
    }
    *before
}
