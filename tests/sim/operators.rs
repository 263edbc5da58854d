//! What operators were told: it holds, and goes on over a crash.

use std::collections::BTreeMap;

use bascule::core::routing::{Override, Overrides, Target};

use super::clock;

/// What was answered to operators.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    answered: BTreeMap<Target, Override>,
}

impl Operators {
    /// Somebody was told that an override holds.
    pub(crate) fn answered(&mut self, decided: Override) {
        self.answered.insert(decided.target.clone(), decided);
    }

    /// Somebody asks that it holds no more; from then on it need not.
    pub(crate) fn cleared(&mut self, target: &Target) {
        self.answered.remove(target);
    }

    /// Forgets what has ended, for good: the clock may be set back.
    pub(crate) fn forget_ended(&mut self) {
        let now = clock::now();
        self.answered.retain(|_, decided| decided.until > now);
    }

    /// Compares with what the state file knows after a crash; says what must not be.
    pub(crate) fn look(&self, kept: &Overrides) -> Vec<(&'static str, String)> {
        let now = clock::now();
        // One that was under way in the crash may have come in place of the one that was answered.
        let is_kept =
            |decided: &Override| kept.iter().any(|it| it.target == decided.target && it.set_at >= decided.set_at);
        let lost = self.answered.values().filter(|decided| decided.until > now && !is_kept(decided));
        let words = |decided: &Override| format!("{} {}", decided.target, decided.action);
        lost.map(|decided| ("no answered order is lost", words(decided))).collect()
    }
}
