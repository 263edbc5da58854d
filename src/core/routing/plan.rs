use std::fmt;

use super::{Change, Effective, Serving, change};
use crate::core::health::Observed;
use crate::core::inventory::Desired;
use crate::core::model::{Generation, Revision, ServiceName};

/// What should be served, and how that differs from what was planned before. A value: applying it makes no choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The revision of desired state it was made from.
    pub revision: Revision,
    /// The generation of observed state it was made from.
    pub generation: Generation,
    /// What should be served.
    pub effective: Effective,
    /// What differs from the plan before, by service. Empty when planned again from the same input.
    pub changes: Vec<Change>,
    /// What observation asked for and safety refused.
    pub holds: Vec<Hold>,
}

/// A part of a plan that is refused for safety.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Every backend of a service is down; none is taken out, since an empty pool serves nobody.
    AllDown {
        /// The service.
        service: ServiceName,
        /// How many backends stay in though they are down.
        backends: usize,
    },
}

impl Hold {
    /// What is refused and what happens instead, without the name of what it is about.
    pub fn reason(&self) -> String {
        match self {
            Self::AllDown { backends: 1, .. } => "its only backend is down; it is tried all the same".to_owned(),
            Self::AllDown { backends, .. } => format!("all {backends} backends are down; all of them are tried"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllDown { service, .. } => write!(f, "service {service}: {}", self.reason()),
        }
    }
}

/// Plans: merges desired with observed state, and compares with the plan before (none: with nothing at all).
pub fn plan(desired: &Desired, observed: &Observed, previous: Option<&Effective>) -> Plan {
    let effective = Effective::merge(desired, observed);
    let changes = change::between(previous.unwrap_or(&Effective::default()), &effective);
    let all_down = effective.services.values().filter(|service| service.serving == Serving::LastResort);
    let holds = all_down
        .map(|service| Hold::AllDown { service: service.service.name.clone(), backends: service.in_rotation().count() })
        .collect();
    Plan { revision: desired.revision.clone(), generation: observed.generation, effective, changes, holds }
}
