use std::time::Duration;

use super::{Answer, Candidate, Question};
use crate::core::inventory::Failback;
use crate::core::routing::{Exclusion, Role, guard};

/// Everything that is not down serves. What was down serves again once it has been up for the failback time, or at once
/// where nothing else is there, or less than the guard asks for.
pub(super) fn answer(question: &Question<'_>) -> Answer {
    let hold = match question.service.routing.failback {
        Failback::After(hold) => hold,
        // Refused by the rule `routing-contradiction`.
        Failback::Manual => Duration::ZERO,
    };
    let mut answer = Answer::default();
    let is_on_trial = |candidate: &Candidate| candidate.was_out && !hold.is_zero();
    let serving = question.candidates.iter().filter(|candidate| !candidate.is_down && !is_on_trial(candidate)).count();
    let is_needed = serving < guard::needed(question.service, question.members).max(1);
    for candidate in question.candidates {
        let role = if candidate.is_down {
            Role::Out(Exclusion::Down)
        } else if is_on_trial(candidate) && !is_needed {
            match candidate.up_since().map(|since| since.plus(hold)) {
                Some(at) if at <= question.now => Role::InRotation,
                Some(at) => {
                    answer.again_at(at);
                    Role::Out(Exclusion::Recovering)
                }
                None => Role::Out(Exclusion::Recovering),
            }
        } else {
            Role::InRotation
        };
        answer.roles.push((candidate.index, role));
    }
    answer
}
