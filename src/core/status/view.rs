use std::collections::BTreeMap;

use super::quarantine::{of_edge, of_revision};
use super::secrets;
use super::site::{Sites, age, event_dto};
use super::{
    AppliedDto, BackendDto, EdgeDto, EdgeState, FaultDto, LastSampleDto, OverrideDto, PinDto, QuarantinedDto,
    RefusedService, RefusedServiceDto, RelayState, RevisionDto, ServiceDto, StatusDto,
};
use crate::core::health::{BackendHealth, Freshness, Layers, Observed, Outcome, SecretFaults};
use crate::core::inventory::{BackendState, Desired, Edge, Quarantined};
use crate::core::model::{Digest, EdgeName, Revision, RevisionInfo, Timestamp, counted};
use crate::core::routing::{EffectiveService, Leaving, Member, Override, Overrides, Plan, Role, Serving};
use crate::core::steering::Step;

/// Everything a view is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The moment of the view.
    pub now: Timestamp,
    /// The revision that is served, with its desired state.
    pub served: Option<(&'a RevisionInfo, &'a Desired)>,
    /// The services that it is served without.
    pub quarantine: &'a [Quarantined],
    /// True where a newer revision is served only without any error (`run --strict`).
    pub is_strict: bool,
    /// When the source was last read with success.
    pub fetched_at: Option<Timestamp>,
    /// What is wrong with the source, and with its newest revision.
    pub source_faults: [Option<&'a Fault>; 2],
    /// The newest revision of the source, served or not.
    pub newest: Option<&'a RevisionInfo>,
    /// The operator's step since which the source is not followed.
    pub pin: Option<&'a Step>,
    /// What probes say.
    pub observed: &'a Observed,
    /// Secrets that probes could not be given.
    pub secrets: &'a SecretFaults,
    /// What is known of tunnels, and what happened lately.
    pub layers: &'a Layers,
    /// What operators say.
    pub overrides: &'a Overrides,
    /// The newest plan.
    pub plan: Option<&'a Plan>,
    /// How each edge stands.
    pub edges: &'a BTreeMap<EdgeName, EdgeReport>,
}

/// Something that is wrong, since a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is about: `source` or `inventory`.
    pub scope: &'static str,
    /// What is wrong.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// More lines.
    pub details: Vec<String>,
}

/// How an edge stands, as its worker reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeReport {
    /// How it stands.
    pub state: EdgeState,
    /// Since when; none while nothing was tried.
    pub since: Option<Timestamp>,
    /// Digest of what it should run.
    pub rendered: Option<Digest>,
    /// Revision of what it should run, also where it refused that.
    pub planned: Option<Revision>,
    /// What it was last seen to run.
    pub applied: Option<Applied>,
    /// Services that it refuses, and that stay there as they were.
    pub refused: Vec<RefusedService>,
    /// What is wrong, and since when.
    pub fault: Option<(String, Timestamp)>,
    /// Whether its relay asks; none where it has no relay.
    pub relay: Option<RelayState>,
    /// What is open to backends that get nothing new; none where the edge cannot tell, or was not asked.
    pub leaving: Option<Vec<Leaving>>,
    /// Configurations sent.
    pub pushes: u64,
    /// Times that it ran something nobody committed.
    pub drifts: u64,
}

/// What an edge was last seen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Digest.
    pub digest: Digest,
    /// Revision it was rendered from.
    pub revision: Revision,
    /// When it was confirmed last.
    pub at: Timestamp,
}

/// Makes the view.
pub fn view(inputs: &Inputs<'_>) -> StatusDto {
    let Inputs {
        now,
        served,
        quarantine,
        is_strict: _,
        fetched_at,
        source_faults: _,
        newest,
        pin,
        observed,
        secrets: _,
        layers,
        overrides,
        plan,
        edges,
    } = *inputs;
    let desired = served.map(|(_, desired)| desired);
    let sites = desired.map(|desired| Sites::new(desired, observed, layers, now));
    let effective = plan.map(|plan| &plan.effective);
    let edge = |edge: &std::sync::Arc<Edge>| edge_dto(edge, edges.get(&edge.name), now);
    let edge_dtos: Vec<EdgeDto> = desired.map_or_else(Vec::new, |desired| desired.edges.values().map(edge).collect());
    let pin = pin.map(|step| PinDto::of(step, newest, now));
    let faults = faults(inputs, pin.as_ref(), sites.as_ref());
    StatusDto {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: now,
        ready: served.is_some() && edge_dtos.iter().all(|edge| edge.state != EdgeState::Pending),
        revision: served.map(|(info, _)| RevisionDto::of(info)),
        generation: observed.generation.0,
        quarantine: quarantine.iter().map(QuarantinedDto::of).collect(),
        fetched_at,
        pin,
        faults,
        overrides: in_force(overrides, now).map(|it| OverrideDto::of(it, desired, now)).collect(),
        sites: sites.as_ref().map_or_else(Vec::new, Sites::dtos),
        services: effective.map_or_else(Vec::new, |effective| {
            effective.services.values().map(|service| service_dto(service, observed, now)).collect()
        }),
        edges: edge_dtos,
        events: layers.events.iter().map(|event| event_dto(event, now)).collect(),
        sever: None,
        forge: None,
    }
}

/// Those that have not ended. One that has is taken out a moment later.
fn in_force(overrides: &Overrides, now: Timestamp) -> impl Iterator<Item = &Override> {
    overrides.iter().filter(move |it| it.until > now)
}

fn faults(inputs: &Inputs<'_>, pin: Option<&PinDto>, sites: Option<&Sites<'_>>) -> Vec<FaultDto> {
    let now = inputs.now;
    let fault = |scope: String, message: String, since: Timestamp, details: &[String]| FaultDto {
        scope,
        message,
        since,
        age_seconds: now.since(since).as_secs(),
        details: details.to_vec(),
    };
    let mut faults = Vec::new();
    let [source, refusal] = inputs.source_faults;
    if let Some(Fault { scope, message, since, details }) = source {
        faults.push(fault((*scope).to_owned(), message.clone(), *since, details));
    }
    if let Some(Fault { scope, message, since, details }) = refusal {
        // Its lines may be mended or gone by now: while nobody can look, they are told as of the last look.
        let (message, details) = match source {
            None => (message.clone(), &details[..]),
            Some(_) => (format!("at the last look at the source: {message}"), &[][..]),
        };
        faults.push(fault((*scope).to_owned(), message, *since, details));
    }
    for it in inputs.quarantine {
        let mut details = vec![format!("`bascule explain {}` says more", it.fault.code)];
        if inputs.is_strict {
            details.push("bascule runs with `--strict`: no newer revision is served before it has no error".to_owned());
        }
        faults.push(fault(format!("service {}", it.service), of_revision(it), it.since, &details));
    }
    // That somebody holds it where it is, is no fault; that the source has gone on since is what must not be forgotten.
    if let Some(pin) = pin.filter(|pin| pin.newest.is_some()) {
        faults.push(fault("inventory".to_owned(), pin.words(), pin.step.at, &[]));
    }
    for (name, report) in inputs.edges {
        if let Some((message, since)) = &report.fault {
            faults.push(fault(format!("edge {name}"), message.clone(), *since, &[]));
        }
        faults.extend(report.refused.iter().map(|it| fault(format!("edge {name}"), of_edge(it), it.since, &[])));
    }
    if let Some(since) = inputs.observed.isolated_since {
        let message = "no site is within reach: this machine's own network is at fault; verdicts are frozen".to_owned();
        faults.push(fault("prober".to_owned(), message, since, &[]));
    }
    faults.extend(sites.map_or_else(Vec::new, Sites::faults));
    if let Some((_, desired)) = inputs.served {
        faults.extend(secrets::faults(desired, inputs.secrets, now));
    }
    for hold in inputs.plan.map_or(&[][..], |plan| &plan.holds) {
        let services = inputs.plan.map(|plan| &plan.effective.services);
        let since = if let Some(service) = hold.service() {
            let service = services.and_then(|services| services.get(service));
            service.and_then(|service| newest_change(inputs.observed, service.members.iter()))
        } else {
            let members = services.into_iter().flat_map(|all| all.values()).flat_map(|service| &service.members);
            newest_change(inputs.observed, members.filter(|member| matches!(member.role, Role::Guarded(_))))
        };
        faults.push(fault(hold.scope(), hold.reason(), since.unwrap_or(now), &[]));
    }
    let services = inputs.plan.into_iter().flat_map(|plan| plan.effective.services.values());
    for service in services.filter(|service| service.serving == Serving::Page) {
        let message = "none of its backends is up; clients get its page".to_owned();
        let since = newest_change(inputs.observed, service.members.iter());
        faults.push(fault(format!("service {}", service.service.name), message, since.unwrap_or(now), &[]));
    }
    faults
}

/// When a verdict of one of some backends changed last.
fn newest_change<'m>(observed: &Observed, members: impl Iterator<Item = &'m Member>) -> Option<Timestamp> {
    members.filter_map(|member| observed.backends.get(&member.backend.name)?.since).max()
}

fn service_dto(effective: &EffectiveService, observed: &Observed, now: Timestamp) -> ServiceDto {
    let service = &effective.service;
    ServiceDto {
        name: service.name.to_string(),
        domains: service.domains.iter().map(ToString::to_string).collect(),
        paths: service.paths.iter().map(ToString::to_string).collect(),
        serving: effective.serving.as_str().to_owned(),
        returning: effective.ramp.map(|ramp| ramp.rise.percent()),
        backends: effective.members.iter().map(|member| backend_dto(member, observed, now)).collect(),
    }
}

fn backend_dto(member: &Member, observed: &Observed, now: Timestamp) -> BackendDto {
    let Member { backend, verdict, tier, role, rise: _, share: _, overridden: _ } = member;
    let unknown = BackendHealth::default();
    let health = observed.backends.get(&backend.name).unwrap_or(&unknown);
    let failure = |outcome: &Outcome| match outcome {
        Outcome::Pass => None,
        Outcome::Fail(failure) => Some(failure.to_string()),
    };
    // Nobody asks what is disabled: what was seen of it does not grow old.
    let is_stale = backend.state != BackendState::Disabled
        && Freshness::of_backend(health, &backend.probe, now) == Freshness::Stale;
    BackendDto {
        name: backend.name.to_string(),
        site: backend.site.to_string(),
        upstream: backend.upstream().to_string(),
        verdict: verdict.to_string(),
        since: health.since,
        state: if is_stale { "stale".to_owned() } else { verdict.to_string() },
        age_seconds: age(health.last.as_ref().map(|last| last.at), now),
        in_rotation: role.gets_traffic(),
        tier: *tier,
        reason: member.reason(now),
        weight: backend.weight,
        passes: health.passes,
        fails: health.fails,
        last: health.last.as_ref().map(|last| LastSampleDto {
            at: last.at,
            latency_ms: last.latency.as_secs_f64() * 1000.0,
            failure: failure(&last.outcome),
        }),
        availability: health.availability.share(),
        availability_seconds: health.availability.length(now).map(|length| length.as_secs()),
        certificate_ends: health.told.certificate_ends,
        warnings: warnings(member, health, now),
    }
}

fn warnings(member: &Member, health: &BackendHealth, now: Timestamp) -> Vec<String> {
    let probe = &member.backend.probe;
    let mut warnings = Vec::new();
    if let (Some(days), Some(ends)) = (probe.certificate_days, health.told.certificate_ends) {
        let left_ms = ends.unix_millis() - now.unix_millis();
        let left = counted(left_ms.unsigned_abs() / DAY_MS, "day");
        if left_ms < 0 {
            warnings.push(format!("its certificate ended {left} ago"));
        } else if left_ms.unsigned_abs() < u64::from(days) * DAY_MS {
            warnings.push(format!("its certificate ends in {left}"));
        }
    }
    if probe.report && health.told.drains() && member.role.gets_traffic() {
        warnings.push("it reports to drain, and gets traffic since nothing else is up".to_owned());
    }
    if let (true, Some(word)) = (probe.report, &health.told.unread) {
        warnings.push(format!("its report says `{word}`, which means nothing: write `drain` or `weight=50%`"));
    }
    if let Some(failed) = &health.told.passed_over {
        warnings.push(format!("one of its probes passes, and not each: {failed}"));
    }
    warnings
}

const DAY_MS: u64 = 86_400_000;

fn edge_dto(edge: &Edge, report: Option<&EdgeReport>, now: Timestamp) -> EdgeDto {
    let report = report.cloned().unwrap_or_default();
    let EdgeReport { state, since, rendered, planned: _, applied, refused, fault: _, relay, leaving, pushes, drifts } =
        report;
    EdgeDto {
        name: edge.name.to_string(),
        admin: edge.admin.to_string(),
        state,
        since,
        age_seconds: age(applied.as_ref().map(|applied| applied.at), now),
        rendered: rendered.map(|digest| digest.to_string()),
        applied: applied.map(|Applied { digest, revision, at }| AppliedDto {
            digest: digest.to_string(),
            revision: revision.to_string(),
            at,
        }),
        refused: refused.iter().map(RefusedServiceDto::of).collect(),
        relay,
        leaving: leaving.unwrap_or_default(),
        pushes,
        drifts,
    }
}
