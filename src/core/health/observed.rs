use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Availability, Flap, Outcome, Share, Told, Verdict};
use crate::core::inventory::{Backend, BackendState, Desired};
use crate::core::model::{BackendName, Digest, Generation, Revision, Timestamp};

/// What probes say of all backends at one generation. A backend that is not in it is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Which snapshot this is.
    pub generation: Generation,
    /// The revision whose backends are observed; none before the first.
    pub revision: Option<Revision>,
    /// Since when nothing at any site has been within reach; none while something is. Verdicts are frozen meanwhile: the
    /// fault is more likely in the prober's own network than at every site.
    pub isolated_since: Option<Timestamp>,
    /// Health by backend.
    pub backends: BTreeMap<BackendName, BackendHealth>,
}

impl Observed {
    /// Nothing.
    pub const fn new() -> Self {
        Self { generation: Generation(0), revision: None, isolated_since: None, backends: BTreeMap::new() }
    }

    /// What would be known once another inventory is followed: what is asked the same at the same address stays known by its
    /// name, and what is not is another backend.
    #[must_use]
    pub fn follow(&self, before: &Desired, after: &Desired) -> Self {
        let health = |backend: &Backend| {
            let known = self.backends.get(&backend.name)?;
            if known.is_of(backend) {
                return Some((backend.name.clone(), known.clone()));
            }
            let earlier = before.backends.get(&backend.name)?;
            // What was up at this address and is down by a new probe has gone down.
            let was_up = earlier.upstream() == backend.upstream() && known.was_ever_up();
            let target = Some(backend.probe_target());
            Some((backend.name.clone(), BackendHealth { target, was_up, ..BackendHealth::default() }))
        };
        let backends = after.backends.values().filter_map(|backend| health(backend)).collect();
        Self { revision: Some(after.revision.clone()), backends, ..*self }
    }

    /// What is believed of a backend.
    pub fn verdict(&self, backend: &BackendName) -> Verdict {
        self.backends.get(backend).map_or(Verdict::Unknown, |health| health.verdict)
    }
}

/// What is known of one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendHealth {
    /// What it is known of, as [`Backend::probe_target`](crate::core::inventory::Backend::probe_target) has it: a backend
    /// that moves, or is asked something else, is another one in spite of its name. None where that is not known.
    pub target: Option<Digest>,
    /// What is believed.
    pub verdict: Verdict,
    /// Of one that is unknown: it was up when something was last known of it, if by another probe. Not kept in the state file.
    pub was_up: bool,
    /// Since when; none while it was never known.
    pub since: Option<Timestamp>,
    /// Passes in a row, up to now.
    pub passes: u32,
    /// Failures in a row, up to now.
    pub fails: u32,
    /// The newest sample.
    pub last: Option<LastSample>,
    /// Passes and failures of the last 24 hours.
    pub availability: Availability,
    /// How often it went down lately.
    pub flap: Flap,
    /// What its answers told last. Not kept over a restart: the first probe tells it again.
    #[serde(skip)]
    pub told: Told,
    /// How much of its share it asks for. Not kept over a restart either.
    #[serde(skip)]
    pub share: Share,
}

impl BackendHealth {
    /// True where it is known of what a backend is now: the same is asked at the same address, and somebody asks.
    pub fn is_of(&self, backend: &Backend) -> bool {
        backend.state != BackendState::Disabled && self.target.as_ref() == Some(&backend.probe_target())
    }

    /// When it went down; none where it is not down, or was not up before.
    pub fn lost_at(&self) -> Option<Timestamp> {
        // Only a change from up to down is counted as a flip.
        self.since.filter(|_| self.verdict == Verdict::Down && self.flap.at == self.since)
    }

    /// True where it is up, or was before what is known of it now.
    pub fn was_ever_up(&self) -> bool {
        self.was_up || self.verdict == Verdict::Up || self.lost_at().is_some()
    }
}

/// The newest sample of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSample {
    /// When the probe ended.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
}
