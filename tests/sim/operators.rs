//! What operators were told: it holds, and goes on over a crash.

use std::collections::BTreeMap;

use bascule::core::model::Revision;
use bascule::core::routing::{Override, Overrides, Target};
use bascule::core::steering::Steering;

use super::clock;

/// What was answered to operators.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    answered: BTreeMap<Target, Override>,
    /// Orders given so far.
    orders: u64,
    /// The newest order of each target that it shall be overridden no more.
    cleared: BTreeMap<Target, Order>,
    /// The revision that is served whatever is committed, as was answered.
    pinned: Option<Revision>,
    /// An order about the source is under way: what is served may change at any moment.
    is_steering_now: bool,
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

    /// True where the source is not followed.
    pub(crate) const fn is_steering(&self) -> bool {
        self.pinned.is_some()
    }

    /// Somebody gives an order about the source. One at a time: while it is under way, no other one is given.
    pub(crate) fn steers(&mut self) -> bool {
        !std::mem::replace(&mut self.is_steering_now, true)
    }

    /// Somebody was told what came of it; none where it was not carried out.
    pub(crate) fn steered(&mut self, steering: Option<Steering>) {
        self.is_steering_now = false;
        if let Some(Steering { pin, .. }) = steering {
            self.pinned = pin.map(|pin| pin.revision);
        }
    }

    /// Nobody will be told any more. What is in the state file is what counts.
    pub(crate) fn restarted(&mut self, kept: &Steering) -> Option<(&'static str, String)> {
        let kept = kept.pin.as_ref().map(|pin| &pin.revision);
        let is_lost = !self.is_steering_now && kept != self.pinned.as_ref();
        let fault = is_lost.then(|| ("no step is lost", format!("{:?} is pinned and not {:?}", kept, self.pinned)));
        self.is_steering_now = false;
        self.pinned = kept.cloned();
        fault
    }

    /// What must not be: something else is served than an operator was told.
    pub(crate) fn strays(&self, served: Option<&Revision>) -> Option<String> {
        let pinned = self.pinned.as_ref().filter(|_| !self.is_steering_now)?;
        (served != Some(pinned)).then(|| format!("{served:?} is served, and {pinned} is pinned"))
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
