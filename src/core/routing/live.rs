use std::collections::BTreeMap;

use super::{Choice, Effective, Inputs, InventoryGuard, Overrides};
use crate::core::health::Observed;
use crate::core::inventory::Desired;
use crate::core::model::{ServiceName, Timestamp};

/// What a running controller goes by beside its inventory, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The moment.
    pub now: Timestamp,
    /// What probes say.
    pub observed: Observed,
    /// What operators say.
    pub overrides: Overrides,
    /// What was planned last: by it, what recovers and what was chosen is known.
    pub planned: Effective,
    /// How much observation may take out of the whole inventory at once; none: all.
    pub guard: Option<InventoryGuard>,
}

impl Live {
    /// What a plan for an inventory is made of at that moment.
    pub fn inputs<'a>(&'a self, desired: &'a Desired) -> Inputs<'a> {
        static REMEMBERED: BTreeMap<ServiceName, Choice> = BTreeMap::new();
        let Self { now, observed, overrides, planned, guard } = self;
        Inputs {
            desired,
            observed,
            overrides,
            previous: Some(planned),
            remembered: &REMEMBERED,
            returning: None,
            guard: *guard,
            now: *now,
        }
    }
}
