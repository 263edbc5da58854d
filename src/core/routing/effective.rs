use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::policy::{self, Candidate};
use super::{Action, Choice, Exclusion, Inputs, Member, Ramp, Rise, Role, damping, guard, report};
use crate::core::health::Verdict;
use crate::core::inventory::{Backend, BackendState, Policy, Service, WhenAllDown};
use crate::core::model::{BackendName, ServiceName, Timestamp};

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
    /// Its backends, by tier, site and name, with their parts. The order is that of the rendered upstreams.
    pub members: Vec<Member>,
    /// What was chosen, where the policy chooses.
    pub choice: Option<Choice>,
    /// Traffic that moves back in steps to the tier that was chosen; none where it does not.
    pub ramp: Option<Ramp>,
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

/// How well a service is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serving {
    /// Every backend that may serve does, or stands by.
    Full,
    /// Some are down, or held back.
    Degraded,
    /// All are down; all are tried.
    LastResort,
    /// All are down; clients get the page.
    Page,
    /// None is declared to take traffic.
    Nothing,
    /// Somebody works on it; clients get the page.
    Maintenance,
}

impl Serving {
    /// The state in snake case, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Degraded => "degraded",
            Self::LastResort => "all_down",
            Self::Page => "page",
            Self::Nothing => "nothing",
            Self::Maintenance => "maintenance",
        }
    }
}

impl Effective {
    /// Merges what git says with what probes and operators say. The moment is that at which time alone would change the
    /// outcome; none where it would not.
    pub(super) fn merge(inputs: &Inputs<'_>) -> (Self, Option<Timestamp>) {
        let mut by_service: BTreeMap<&ServiceName, Vec<&Arc<Backend>>> = BTreeMap::new();
        for backend in inputs.desired.backends.values() {
            by_service.entry(&backend.service).or_default().push(backend);
        }
        let mut next_at = inputs.overrides.next_end(inputs.now);
        let held = guard::held(inputs);
        let mut services = BTreeMap::new();
        for (name, service) in &inputs.desired.services {
            let backends = by_service.remove(name).unwrap_or_default();
            let (effective, at) = EffectiveService::merge(inputs, &held, service, &backends);
            next_at = [next_at, at].into_iter().flatten().min();
            services.insert(name.clone(), Arc::new(effective));
        }
        (Self { services }, next_at)
    }
}

impl EffectiveService {
    /// Merges one service, with its backends and those that the inventory's guard holds. The moment is that at which time
    /// alone would change the outcome.
    pub(super) fn merge(
        inputs: &Inputs<'_>,
        held: &BTreeSet<BackendName>,
        service: &Arc<Service>,
        backends: &[&Arc<Backend>],
    ) -> (Self, Option<Timestamp>) {
        // Where an operator ends what recovers, nothing is known of before.
        let is_returning = inputs.returning == Some(&service.name);
        let previous = inputs.previous.filter(|_| !is_returning);
        let before = previous.and_then(|previous| previous.services.get(&service.name)).map(|before| &**before);
        let remembered = || inputs.remembered.get(&service.name).filter(|_| !is_returning).cloned();
        let choice = before.map_or_else(remembered, |before| before.choice.clone());
        let mut members: Vec<Member> = backends.iter().map(|backend| judge(inputs, service, backend)).collect();
        members.sort_by(|a, b| order(a).cmp(&order(b)));

        report::heed(inputs, &mut members);
        report::asked(inputs, &mut members);
        let mut candidates: Vec<Candidate> = members
            .iter()
            .enumerate()
            .filter(|(_, member)| !matches!(member.role, Role::Out(why) if why != Exclusion::Down))
            .map(|(index, member)| candidate(inputs, before, index, member))
            .collect();
        if service.maintenance || candidates.is_empty() {
            let serving = if service.maintenance { Serving::Maintenance } else { Serving::Nothing };
            return (Self { service: Arc::clone(service), serving, members, choice, ramp: None }, None);
        }
        // What another policy chose is no reason to leave it alone.
        let alone = choice.as_ref().filter(|_| matches!(service.routing.policy, Policy::Single { .. }));
        damping::hold(inputs, &members, alone, &mut candidates);
        guard::hold(service, &members, held, &mut candidates);
        // The places of tiers are those of the routing that they were counted in.
        let ramp = before.filter(|before| before.service.routing == service.routing).and_then(|before| before.ramp);
        let ramp = ramp.map(|ramp| (ramp.from, ramp.rise.since));
        let (candidates, now) = (&candidates[..], inputs.now);
        let asked = policy::Question { service, members: &members, candidates, choice, ramp, now };
        let policy::Answer { roles, choice, ramp, next_at } = policy::answer(&asked);
        for (index, role) in roles {
            members[index].role = role;
        }
        guard::name(candidates, &mut members);
        let released_at = damping::name(candidates, &mut members);
        let risen_at = rise(inputs.now, service, before, &mut members);
        let next_at = [next_at, released_at, risen_at].into_iter().flatten().min();
        let serving = serving(service, &mut members);
        (Self { service: Arc::clone(service), serving, members, choice, ramp }, next_at)
    }
}

/// What a policy needs to know of a member.
fn candidate(inputs: &Inputs<'_>, before: Option<&EffectiveService>, index: usize, member: &Member) -> Candidate {
    let name = &member.backend.name;
    Candidate {
        index,
        tier: member.tier,
        verdict: member.verdict,
        is_down: member.role != Role::InRotation,
        held_until: None,
        guard: None,
        since: inputs.observed.backends.get(name).and_then(|health| health.since),
        is_forced: member.overridden.as_ref().is_some_and(|it| it.action == Action::Up),
        was_out: before.and_then(|before| before.member(name)).is_some_and(|member| member.role.was_out()),
    }
}

/// Begins slow starts and takes them further. What was down and comes back begins one, if it was seen to be out: after a
/// restart, or by an operator's word, it has its whole share. The moment is that of the next step.
fn rise(
    now: Timestamp,
    service: &Service,
    before: Option<&EffectiveService>,
    members: &mut [Member],
) -> Option<Timestamp> {
    let (length, before) = (service.routing.slow_start?, before?);
    let mut next_at: Option<Timestamp> = None;
    for member in members.iter_mut().filter(|member| member.role == Role::InRotation && member.overridden.is_none()) {
        let Some(earlier) = before.member(&member.backend.name) else { continue };
        let since = if earlier.role.was_out() { Some(now) } else { earlier.rise.map(|rise| rise.since) };
        if let Some((rise, at)) = since.and_then(|since| Rise::at(now, since, length)) {
            member.rise = Some(rise);
            next_at = Some(next_at.map_or(at, |earlier| earlier.min(at)));
        }
    }
    next_at
}

fn order(member: &Member) -> (usize, &crate::core::model::SiteName, &BackendName) {
    (member.tier, &member.backend.site, &member.backend.name)
}

/// A backend with what speaks for and against it by itself.
fn judge(inputs: &Inputs<'_>, service: &Service, backend: &Arc<Backend>) -> Member {
    Member {
        backend: Arc::clone(backend),
        verdict: inputs.observed.verdict(&backend.name),
        tier: service.routing.policy.tier_of(backend),
        role: role(inputs, service, backend),
        rise: None,
        share: report::WHOLE,
        overridden: inputs.overrides.of(backend, inputs.now).cloned(),
    }
}

/// What speaks for and against one backend by itself.
pub(super) fn role(inputs: &Inputs<'_>, service: &Service, backend: &Backend) -> Role {
    let verdict = inputs.observed.verdict(&backend.name);
    let at_work = service.maintenance || inputs.desired.sites.get(&backend.site).is_some_and(|site| site.maintenance);
    let action = inputs.overrides.of(backend, inputs.now).map(|it| it.action);
    // What a declaration rules out comes before what an operator or a probe says: a drained backend that is also down
    // reads "draining".
    match (backend.state, backend.weight) {
        (BackendState::Disabled, _) => Role::Out(Exclusion::Disabled),
        (BackendState::Drain, _) => Role::Out(Exclusion::Drain),
        (BackendState::Active, 0) => Role::Out(Exclusion::WeightZero),
        (BackendState::Active, _) if at_work => Role::Out(Exclusion::Maintenance),
        (BackendState::Active, _) => match (action, verdict) {
            (Some(action @ (Action::Drain | Action::Down)), _) => Role::Out(Exclusion::Overridden(action)),
            (Some(Action::Up), _) | (None, Verdict::Up | Verdict::Unknown) => Role::InRotation,
            (None, Verdict::Down) => Role::Out(Exclusion::Down),
        },
    }
}

/// How well the service is served by the roles given; with nothing left, what its policy says.
fn serving(service: &Service, members: &mut [Member]) -> Serving {
    let is_troubled = |member: &Member| match member.role {
        Role::InRotation | Role::Standby => false,
        Role::LastResort | Role::Guarded(_) => true,
        Role::Out(why) => !why.is_declared(),
    };
    if members.iter().any(|member| member.role == Role::LastResort) {
        return Serving::LastResort;
    }
    if members.iter().any(|member| member.role.gets_traffic()) {
        return if members.iter().any(is_troubled) { Serving::Degraded } else { Serving::Full };
    }
    if service.routing.when_all_down == WhenAllDown::Page {
        return Serving::Page;
    }
    let mut serving = Serving::Nothing;
    for member in members.iter_mut().filter(|member| member.role == Role::Out(Exclusion::Down)) {
        member.role = Role::LastResort;
        serving = Serving::LastResort;
    }
    serving
}
