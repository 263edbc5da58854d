use std::collections::BTreeMap;
use std::fmt;

use super::{
    Change, Choice, Effective, EffectiveService, Guard, InventoryGuard, Overrides, Role, Serving, change, guard,
};
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
    /// More backends of a service are down than its guard lets go.
    Guarded {
        /// The service.
        service: ServiceName,
        /// Those that stay in though they are down.
        backends: Vec<BackendName>,
        /// How many of its backends stay in at least.
        needed: usize,
    },
    /// Too many backends went down at once, at more than one site.
    InventoryGuarded {
        /// Those that stay in though they are down.
        backends: Vec<BackendName>,
    },
}

impl Hold {
    /// What observation asks for and is not done for a service.
    fn of(effective: &EffectiveService) -> Option<Self> {
        let service = effective.service.name.clone();
        let is_guarded = |role: Role| role == Role::Guarded(Guard::Service);
        let guarded = effective.members.iter().filter(|member| is_guarded(member.role));
        let backends: Vec<_> = guarded.map(|member| member.backend.name.clone()).collect();
        if !backends.is_empty() {
            let needed = guard::needed(&effective.service, &effective.members);
            return Some(Self::Guarded { service, backends, needed });
        }
        if effective.serving != Serving::LastResort {
            return None;
        }
        Some(match &effective.choice {
            Some(Choice::Backend(backend)) => Self::ChosenDown { service, backend: backend.clone() },
            Some(Choice::Tier(_)) | None => Self::AllDown { service, backends: effective.in_rotation().count() },
        })
    }

    /// What the guard of the inventory holds.
    fn of_inventory(effective: &Effective) -> Option<Self> {
        let members = effective.services.values().flat_map(|service| &service.members);
        let held = members.filter(|member| member.role == Role::Guarded(Guard::Inventory));
        let backends: Vec<_> = held.map(|member| member.backend.name.clone()).collect();
        (!backends.is_empty()).then_some(Self::InventoryGuarded { backends })
    }

    /// The service that it is about; none where it is about the whole inventory.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::AllDown { service, .. } | Self::ChosenDown { service, .. } | Self::Guarded { service, .. } => {
                Some(service)
            }
            Self::InventoryGuarded { .. } => None,
        }
    }

    /// What it is about, in words: `service www`, `guard`.
    pub fn scope(&self) -> String {
        self.service().map_or_else(|| "guard".to_owned(), |service| format!("service {service}"))
    }

    /// What is refused and what happens instead, without the name of what it is about.
    pub fn reason(&self) -> String {
        match self {
            Self::AllDown { backends: 1, .. } => "its only backend is down; it is tried all the same".to_owned(),
            Self::AllDown { backends, .. } => format!("all {backends} backends are down; all of them are tried"),
            Self::ChosenDown { backend, .. } => {
                format!("{backend} is down; it stays until it has been down for `confirm` and another is up")
            }
            Self::InventoryGuarded { backends } => {
                format!(
                    "so many backends went down at once, at more than one site, that their health check may be at fault; \
                     of them {} stay in rotation: {}. Mend the check, or take out what is really down with `bascule \
                     override down`",
                    backends.len(),
                    list(backends)
                )
            }
            Self::Guarded { backends, needed, .. } => {
                let (are, they) = if backends.len() == 1 { ("is", "it") } else { ("are", "they") };
                format!(
                    "{} {are} down and held in rotation: its `guard` keeps {needed} in; take out what is really down with \
                     `bascule override down {}`, until {they} {are} up again",
                    list(backends),
                    backends[0]
                )
            }
        }
    }
}

/// Names of backends in one message, at most.
const NAMED_MAX: usize = 3;

fn list(backends: &[BackendName]) -> String {
    let named: Vec<_> = backends.iter().take(NAMED_MAX).map(BackendName::as_str).collect();
    match backends.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.scope(), self.reason())
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
    /// How much observation may take out of the whole inventory at once; none: all.
    pub guard: Option<InventoryGuard>,
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
            guard: None,
            now,
        }
    }
}

/// Plans: merges what git, probes and operators say, and compares with the plan before.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let (effective, next_at) = Effective::merge(inputs);
    let changes = change::between(inputs.previous.unwrap_or(&Effective::default()), &effective);
    let of_services = effective.services.values().filter_map(|service| Hold::of(service));
    let holds = Hold::of_inventory(&effective).into_iter().chain(of_services).collect();
    let Inputs { desired, observed, .. } = inputs;
    Plan { revision: desired.revision.clone(), generation: observed.generation, effective, changes, holds, next_at }
}
