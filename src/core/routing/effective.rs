use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::core::health::{Observed, Verdict};
use crate::core::inventory::{Backend, BackendState, Desired, Routing, Service};
use crate::core::model::{BackendName, ServiceName};

/// What should be served now: every service with every one of its backends and the part it plays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Services by name.
    pub services: BTreeMap<ServiceName, Arc<EffectiveService>>,
}

/// One service as it should be served now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveService {
    /// The service as declared.
    pub service: Arc<Service>,
    /// How well it is served.
    pub serving: Serving,
    /// Its backends, by site and name, with their parts. The order is that of the rendered upstreams.
    pub members: Vec<Member>,
}

impl EffectiveService {
    /// The backends that get traffic, in the order of rendering.
    pub fn in_rotation(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.members.iter().filter(|member| member.role.gets_traffic()).map(|member| &member.backend)
    }

    /// The member of that name.
    pub fn member(&self, backend: &BackendName) -> Option<&Member> {
        self.members.iter().find(|member| member.backend.name == *backend)
    }
}

/// One backend's part in its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The backend as declared.
    pub backend: Arc<Backend>,
    /// What is believed of it.
    pub verdict: Verdict,
    /// Whether it gets traffic, and why (not).
    pub role: Role,
}

/// Whether a backend gets traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It does.
    InRotation,
    /// It is down and gets traffic all the same, since every other one is down too.
    LastResort,
    /// It does not.
    Out(Exclusion),
}

impl Role {
    /// True when requests are sent to the backend.
    pub const fn gets_traffic(self) -> bool {
        match self {
            Self::InRotation | Self::LastResort => true,
            Self::Out(_) => false,
        }
    }
}

/// Why a backend gets no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Probes say that it is down.
    Down,
    /// Declared `state: drain`.
    Drain,
    /// Declared `state: disabled`.
    Disabled,
    /// Declared `weight: 0`.
    WeightZero,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Drain => "draining",
            Self::Disabled => "disabled",
            Self::WeightZero => "weight is 0",
        })
    }
}

/// How well a service is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serving {
    /// Every backend that may serve does.
    Full,
    /// Some are down.
    Degraded,
    /// All are down; all are tried.
    LastResort,
    /// None is declared to take traffic.
    Nothing,
}

impl Serving {
    /// The state in snake case, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Degraded => "degraded",
            Self::LastResort => "all_down",
            Self::Nothing => "nothing",
        }
    }
}

impl Effective {
    /// Merges what git says with what probes say.
    pub fn merge(desired: &Desired, observed: &Observed) -> Self {
        let mut by_service: BTreeMap<&ServiceName, Vec<&Arc<Backend>>> = BTreeMap::new();
        for backend in desired.backends.values() {
            by_service.entry(&backend.service).or_default().push(backend);
        }
        let merge_service = |(name, service): (&ServiceName, &Arc<Service>)| {
            let backends = by_service.remove(name).unwrap_or_default();
            (name.clone(), Arc::new(merge_service(service, &backends, observed)))
        };
        Self { services: desired.services.iter().map(merge_service).collect() }
    }
}

fn merge_service(service: &Arc<Service>, backends: &[&Arc<Backend>], observed: &Observed) -> EffectiveService {
    let Routing::Spread = service.routing;
    let judge = |backend: &&Arc<Backend>| {
        let verdict = observed.verdict(&backend.name);
        let role = match exclusion(backend, verdict) {
            None => Role::InRotation,
            Some(why) => Role::Out(why),
        };
        Member { backend: Arc::clone(backend), verdict, role }
    };
    let mut members: Vec<Member> = backends.iter().map(judge).collect();
    members.sort_by(|a, b| (&a.backend.site, &a.backend.name).cmp(&(&b.backend.site, &b.backend.name)));

    let up = members.iter().filter(|member| member.role == Role::InRotation).count();
    let down = members.iter().filter(|member| member.role == Role::Out(Exclusion::Down)).count();
    let serving = match (up, down) {
        (0, 0) => Serving::Nothing,
        (0, _) => Serving::LastResort,
        (_, 0) => Serving::Full,
        (_, _) => Serving::Degraded,
    };
    if serving == Serving::LastResort {
        for member in members.iter_mut().filter(|member| member.role == Role::Out(Exclusion::Down)) {
            member.role = Role::LastResort;
        }
    }
    EffectiveService { service: Arc::clone(service), serving, members }
}

/// What a declaration rules out comes before what a probe says: a drained backend that is also down reads "draining".
fn exclusion(backend: &Backend, verdict: Verdict) -> Option<Exclusion> {
    match (backend.state, backend.weight, verdict) {
        (BackendState::Disabled, _, _) => Some(Exclusion::Disabled),
        (BackendState::Drain, _, _) => Some(Exclusion::Drain),
        (BackendState::Active, 0, _) => Some(Exclusion::WeightZero),
        (BackendState::Active, _, Verdict::Down) => Some(Exclusion::Down),
        (BackendState::Active, _, Verdict::Up | Verdict::Unknown) => None,
    }
}
