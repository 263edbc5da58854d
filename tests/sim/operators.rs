//! What operators were told: it holds, and goes on over a crash.

use std::collections::BTreeMap;

use bascule::core::routing::{Override, Overrides, Target};

use super::clock;

/// What was answered to operators.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    answered: BTreeMap<Target, Override>,
    /// Orders given so far.
    orders: u64,
    /// The newest order of each target that it shall be overridden no more.
    cleared: BTreeMap<Target, Order>,
}

/// The number of an order. They are carried out one after the other, as they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(u64);

impl Operators {
    /// Somebody gives an order.
    pub(crate) fn ordered(&mut self) -> Order {
        self.orders += 1;
        Order(self.orders)
    }

    /// Somebody was told that an override holds, as was ordered. While the disk was slow, somebody may have asked meanwhile
    /// that it holds no more.
    pub(crate) fn answered(&mut self, order: Order, decided: Override) {
        if self.cleared.get(&decided.target).is_none_or(|cleared| *cleared < order) {
            self.answered.insert(decided.target.clone(), decided);
        }
    }

    /// Somebody asks that it holds no more; from then on it need not.
    pub(crate) fn cleared(&mut self, target: &Target) {
        self.answered.remove(target);
        let order = self.ordered();
        self.cleared.insert(target.clone(), order);
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
