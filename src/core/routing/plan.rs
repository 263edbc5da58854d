use std::collections::BTreeMap;
use std::fmt;

use super::{Change, Choice, Effective, EffectiveService, Overrides, Serving, change};
use crate::core::health::Observed;
use crate::core::inventory::Desired;
use crate::core::model::{BackendName, Generation, Revision, ServiceName, Timestamp};

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
    /// When to plan again though nothing was heard: a hold time or an override ends then.
    pub next_at: Option<Timestamp>,
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
    /// The one backend that a service has at a time is down; it stays until another takes over.
    ChosenDown {
        /// The service.
        service: ServiceName,
        /// The backend.
        backend: BackendName,
    },
}

impl Hold {
    /// What observation asks for and is not done for a service.
    fn of(effective: &EffectiveService) -> Option<Self> {
        if effective.serving != Serving::LastResort {
            return None;
        }
        let service = effective.service.name.clone();
        Some(match &effective.choice {
            Some(Choice::Backend(backend)) => Self::ChosenDown { service, backend: backend.clone() },
            Some(Choice::Tier(_)) | None => Self::AllDown { service, backends: effective.in_rotation().count() },
        })
    }

    /// The service that it is about.
    pub fn service(&self) -> &ServiceName {
        match self {
            Self::AllDown { service, .. } | Self::ChosenDown { service, .. } => service,
        }
    }

    /// What is refused and what happens instead, without the name of what it is about.
    pub fn reason(&self) -> String {
        match self {
            Self::AllDown { backends: 1, .. } => "its only backend is down; it is tried all the same".to_owned(),
            Self::AllDown { backends, .. } => format!("all {backends} backends are down; all of them are tried"),
            Self::ChosenDown { backend, .. } => {
                format!("{backend} is down; it stays until it has been down for `confirm` and another is up")
            }
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}: {}", self.service(), self.reason())
    }
}

/// Everything that a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What git says.
    pub desired: &'a Desired,
    /// What probes say.
    pub observed: &'a Observed,
    /// What operators say.
    pub overrides: &'a Overrides,
    /// What was planned before: changes are told against it, and what recovers is known by it. None: nothing was.
    pub previous: Option<&'a Effective>,
    /// What was chosen by plans before those of this run. Looked at for services that `previous` does not have.
    pub remembered: &'a BTreeMap<ServiceName, Choice>,
    /// The service whose traffic may return now to what it prefers, by an operator's word.
    pub returning: Option<&'a ServiceName>,
    /// The moment of the plan.
    pub now: Timestamp,
}

impl<'a> Inputs<'a> {
    /// What the inventory says by itself: nothing is observed, overridden or remembered. The moment does not matter then.
    pub fn declared(desired: &'a Desired) -> Self {
        static OBSERVED: Observed = Observed::new();
        static OVERRIDES: Overrides = Overrides::new();
        static REMEMBERED: BTreeMap<ServiceName, Choice> = BTreeMap::new();
        let now = Timestamp::from_unix_millis(0);
        Self {
            desired,
            observed: &OBSERVED,
            overrides: &OVERRIDES,
            previous: None,
            remembered: &REMEMBERED,
            returning: None,
            now,
        }
    }
}

/// Plans: merges what git, probes and operators say, and compares with the plan before.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let (effective, next_at) = Effective::merge(inputs);
    let changes = change::between(inputs.previous.unwrap_or(&Effective::default()), &effective);
    let holds = effective.services.values().filter_map(|service| Hold::of(service)).collect();
    let Inputs { desired, observed, .. } = inputs;
    Plan { revision: desired.revision.clone(), generation: observed.generation, effective, changes, holds, next_at }
}
