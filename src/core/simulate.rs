//! What becomes of services when sites or backends are lost. The engine that routes for real is asked; nothing here knows of
//! policies.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(in crate::core) use self::report::sites;
pub use self::report::{by_site, json, markdown, text};
use crate::core::caddy::traffic;
use crate::core::health::{BackendHealth, Observed, Verdict};
use crate::core::inventory::{Backend, Desired, Service};
use crate::core::model::{BackendName, ServiceName, SiteName, Timestamp};
use crate::core::routing::{EffectiveService, Inputs, Plan, Serving, Target, plan};

/// What is lost together, and what becomes of the services.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What is lost; nothing where nothing is.
    pub lost: Vec<Target>,
    /// Every service, by name.
    pub services: Vec<ServiceForecast>,
}

impl Forecast {
    /// What is lost, in words: `site:dijon + site:thory`.
    pub fn lost_words(&self) -> String {
        match &self.lost[..] {
            [] => "nothing".to_owned(),
            lost => lost.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
        }
    }
}

/// What becomes of one service, once everything that takes time has happened: verdicts, `confirm`, tiers.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceForecast {
    /// Which one.
    pub service: ServiceName,
    /// True where no single loss may take it down.
    pub is_critical: bool,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Backends with their shares of its requests, from 0 to 1; none where nobody answers.
    pub shares: Vec<Share>,
}

/// A backend's share of a service's requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The backend.
    pub backend: BackendName,
    /// Its site.
    pub site: SiteName,
    /// From 0 to 1.
    pub share: f64,
}

/// What becomes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It answers, and nothing of it is lost.
    Survives,
    /// It answers with what is left of it.
    Degraded,
    /// Nobody answers for it, or only its page.
    Down,
    /// It is declared to be in maintenance, whatever is lost.
    Maintenance,
}

impl Outcome {
    /// The outcome in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Survives => "survives",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Maintenance => "maintenance",
        }
    }
}

/// The backends were up for a day when something is lost: long enough for every trial and every failback to be over.
const UP_FOR: Duration = Duration::from_hours(24);
/// Plans that follow each other at their own time. A service changes for `confirm` and once for each tier; what goes on longer
/// would never end.
const PLANS_MAX: usize = 64;

/// Foretells what becomes of every service, for each set of losses.
pub fn simulate(desired: &Desired, losses: &[Vec<Target>]) -> Vec<Forecast> {
    let mut forecasts: Vec<Forecast> =
        losses.iter().map(|lost| Forecast { lost: lost.clone(), services: Vec::new() }).collect();
    let mut backends: BTreeMap<&ServiceName, BTreeMap<BackendName, Arc<Backend>>> = BTreeMap::new();
    for (name, backend) in &desired.backends {
        backends.entry(&backend.service).or_default().insert(name.clone(), Arc::clone(backend));
    }
    for (name, service) in &desired.services {
        // Services do not depend on each other, and most losses are none of one service's.
        let alone = Desired {
            revision: desired.revision.clone(),
            sites: desired.sites.clone(),
            services: BTreeMap::from([(name.clone(), Arc::clone(service))]),
            backends: backends.remove(name).unwrap_or_default(),
            edges: BTreeMap::new(),
        };
        let whole = settled(&alone, &[]);
        let unharmed = forecast(service, &whole, &[]);
        for Forecast { lost, services } in &mut forecasts {
            let is_harmed = alone.backends.values().any(|backend| is_lost(backend, lost));
            services.push(if is_harmed { forecast(service, &settled(&alone, lost), lost) } else { unharmed.clone() });
        }
    }
    forecasts
}

/// Each site by itself, and each backend by itself.
pub fn single_losses(desired: &Desired) -> Vec<Vec<Target>> {
    let sites = desired.sites.keys().map(|site| vec![Target::Site(site.clone())]);
    let backends = desired.backends.keys().map(|backend| vec![Target::Backend(backend.clone())]);
    sites.chain(backends).collect()
}

fn is_lost(backend: &Backend, lost: &[Target]) -> bool {
    lost.iter().any(|target| match target {
        Target::Backend(name) => backend.name == *name,
        Target::Site(site) => backend.site == *site,
    })
}

/// The plan in which nothing changes any more by itself, after everything was up and something is lost.
fn settled(desired: &Desired, lost: &[Target]) -> Plan {
    let start = Timestamp::from_unix_millis(0);
    let lost_at = start.plus(UP_FOR);
    let up = observed(desired, &[], (start, lost_at));
    let before = plan(&Inputs { observed: &up, now: lost_at, ..Inputs::declared(desired) });
    let observed = observed(desired, lost, (start, lost_at));
    settle(&Inputs { observed: &observed, now: lost_at, ..Inputs::declared(desired) }, before)
}

/// The plan in which nothing changes any more by itself, after the one of before.
pub(in crate::core) fn settle(inputs: &Inputs<'_>, before: Plan) -> Plan {
    let mut now = inputs.now;
    let mut last = before;
    for _ in 0..PLANS_MAX {
        last = plan(&Inputs { previous: Some(&last.effective), now, ..*inputs });
        match last.next_at {
            Some(next_at) if next_at > now => now = next_at,
            Some(_) | None => break,
        }
    }
    last
}

fn observed(desired: &Desired, lost: &[Target], (up_since, lost_at): (Timestamp, Timestamp)) -> Observed {
    let health = |backend: &Arc<Backend>| {
        let (verdict, since) = if is_lost(backend, lost) { (Verdict::Down, lost_at) } else { (Verdict::Up, up_since) };
        let health = BackendHealth { verdict, since: Some(since), ..BackendHealth::default() };
        (backend.name.clone(), health)
    };
    Observed { backends: desired.backends.values().map(health).collect(), ..Observed::default() }
}

fn forecast(service: &Service, plan: &Plan, lost: &[Target]) -> ServiceForecast {
    let effective = plan.effective.services.get(&service.name).map(AsRef::as_ref);
    let shares = effective.map(|effective| shares(effective, |backend| !is_lost(backend, lost))).unwrap_or_default();
    let outcome = match effective.map(|effective| effective.serving) {
        Some(Serving::Maintenance) => Outcome::Maintenance,
        _ if shares.is_empty() => Outcome::Down,
        Some(Serving::Full) => Outcome::Survives,
        _ => Outcome::Degraded,
    };
    ServiceForecast { service: service.name.clone(), is_critical: service.critical, outcome, shares }
}

/// The shares of those that answer. A guard keeps some in rotation that are lost; what comes to them is tried elsewhere.
pub(in crate::core) fn shares(effective: &EffectiveService, answers: impl Fn(&Backend) -> bool) -> Vec<Share> {
    let mut places = traffic(effective);
    places.retain(|(backend, places)| *places > 0 && answers(backend));
    let all: u64 = places.iter().map(|(_, places)| *places).sum();
    let share = |(backend, places): (&Arc<Backend>, u64)| Share {
        backend: backend.name.clone(),
        site: backend.site.clone(),
        // A list has a few hundred places.
        share: f64::from(u32::try_from(places).unwrap_or(u32::MAX)) / f64::from(u32::try_from(all).unwrap_or(u32::MAX)),
    };
    places.into_iter().map(share).collect()
}
