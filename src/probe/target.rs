use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::core::inventory::{BackendState, Desired, Probe};
use crate::core::model::BackendName;

/// Every backend that is probed. A drained one is in it, so that it is known when it comes back; a disabled one is not.
pub type ProbeSet = BTreeMap<BackendName, ProbeTarget>;

/// Where and how one backend is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// The address that edges dial.
    pub upstream: SocketAddr,
    /// What is tried, and how often.
    pub probe: Probe,
}

impl ProbeTarget {
    /// True where both ask the same thing of the same address, so that a sample of one holds for the other and a
    /// connection of one serves the other. How often they ask may differ.
    pub(super) fn asks_the_same_as(&self, other: &Self) -> bool {
        self.upstream == other.upstream && self.probe.tries == other.probe.tries
    }
}

/// The backends of an inventory that are probed.
pub fn probe_set(desired: &Desired) -> ProbeSet {
    let probed = desired.backends.values().filter(|backend| backend.state != BackendState::Disabled);
    probed
        .map(|backend| {
            (backend.name.clone(), ProbeTarget { upstream: backend.upstream(), probe: backend.probe.clone() })
        })
        .collect()
}
