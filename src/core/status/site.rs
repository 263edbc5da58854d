use std::collections::BTreeMap;
use std::sync::Arc;

use super::{SiteDto, SiteState};
use crate::core::health::{Observed, Verdict};
use crate::core::inventory::{BackendState, Desired, Site};
use crate::core::model::{SiteName, Timestamp};

/// What the verdicts of a site's backends add up to.
#[derive(Debug, Default)]
struct Count {
    backends: usize,
    probed: usize,
    up: usize,
    down: usize,
    /// When a verdict changed last.
    since: Option<Timestamp>,
}

impl Count {
    fn state(&self) -> SiteState {
        match *self {
            Self { up: 0, down: 0, .. } => SiteState::Unknown,
            Self { up, probed, .. } if up == probed => SiteState::Up,
            Self { down, probed, .. } if down == probed => SiteState::Down,
            Self { .. } => SiteState::Partial,
        }
    }
}

/// The sites, by name, with how each stands.
pub(super) fn dtos(desired: &Desired, observed: &Observed) -> Vec<SiteDto> {
    let mut counts: BTreeMap<&SiteName, Count> = BTreeMap::new();
    for backend in desired.backends.values() {
        let count = counts.entry(&backend.site).or_default();
        count.backends += 1;
        // Nobody probes what is disabled: it says nothing of its site.
        if backend.state == BackendState::Disabled {
            continue;
        }
        count.probed += 1;
        match observed.verdict(&backend.name) {
            Verdict::Up => count.up += 1,
            Verdict::Down => count.down += 1,
            Verdict::Unknown => {}
        }
        count.since = count.since.max(observed.backends.get(&backend.name).and_then(|health| health.since));
    }
    let site = |site: &Arc<Site>| {
        let count = counts.remove(&site.name).unwrap_or_default();
        SiteDto {
            name: site.name.to_string(),
            description: site.description.clone(),
            subnets: site.subnets.iter().map(ToString::to_string).collect(),
            state: count.state(),
            since: count.since,
            backends: count.backends,
            up: count.up,
            down: count.down,
        }
    };
    desired.sites.values().map(site).collect()
}
