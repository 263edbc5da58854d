//! Which candidates of a service get traffic: one file a policy.

mod priority;
mod single;
mod spread;

use super::{Choice, Guard, Member, Ramp, Role};
use crate::core::health::Verdict;
use crate::core::inventory::{Policy, Service};
use crate::core::model::Timestamp;

/// A backend that nobody but a probe speaks against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Where it stands among the members.
    pub(super) index: usize,
    /// Its tier.
    pub(super) tier: usize,
    /// What probes say.
    pub(super) verdict: Verdict,
    /// True where it is taken for down.
    pub(super) is_down: bool,
    /// Until when it is held down for flapping; none where it is not.
    pub(super) held_until: Option<Timestamp>,
    /// The guard that holds it in rotation though it is down; it is not taken for down then.
    pub(super) guard: Option<Guard>,
    /// Since when its verdict holds.
    pub(super) since: Option<Timestamp>,
    /// True where an operator takes it for up.
    pub(super) is_forced: bool,
    /// True where the plan before kept it out for being down, or for having been.
    pub(super) was_out: bool,
}

impl Candidate {
    /// True where it is known to be up, or an operator says so.
    pub(super) fn is_up(&self) -> bool {
        self.is_forced || (self.verdict == Verdict::Up && !self.is_down)
    }

    /// Since when it has been up; none where it is not. An operator's word waits for nothing.
    fn up_since(&self) -> Option<Timestamp> {
        if self.is_forced {
            return Some(Timestamp::from_unix_millis(0));
        }
        self.since.filter(|_| self.is_up())
    }
}

/// What a policy decides on.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) service: &'a Service,
    pub(super) members: &'a [Member],
    /// At least one, in the order of the members: by tier, site and name.
    pub(super) candidates: &'a [Candidate],
    /// What was chosen before.
    pub(super) choice: Option<Choice>,
    /// The tier from which traffic was moving back, and since when.
    pub(super) ramp: Option<(usize, Timestamp)>,
    pub(super) now: Timestamp,
}

/// What a policy decided.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Roles of candidates, by the index of their members.
    pub(super) roles: Vec<(usize, Role)>,
    /// What is chosen now.
    pub(super) choice: Option<Choice>,
    /// The tier from which traffic moves back to the chosen one, and how far it has come.
    pub(super) ramp: Option<Ramp>,
    /// When time alone would change the answer.
    pub(super) next_at: Option<Timestamp>,
}

impl Answer {
    /// Remembers a moment after which the answer may be another one.
    fn again_at(&mut self, at: Timestamp) {
        self.next_at = Some(self.next_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Asks the policy of the service.
pub(super) fn answer(question: &Question<'_>) -> Answer {
    match &question.service.routing.policy {
        Policy::Spread => spread::answer(question),
        Policy::Priority { tiers, min_healthy } => priority::answer(question, tiers, *min_healthy),
        Policy::Single { tiers: _, confirm } => single::answer(question, *confirm),
    }
}
