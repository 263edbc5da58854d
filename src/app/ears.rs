use std::sync::Arc;

use super::{Tasks, Wires};
use crate::controller::Hearing;
use crate::core::caddy::evidence::Told;
use crate::core::model::DialAddress;
use crate::edge::{EvidenceListener, RelayServer};
use crate::probe::Suspicions;

/// What hears edges.
pub(super) struct Ears {
    relay: Option<RelayServer>,
    evidence: Option<EvidenceListener>,
}

impl Ears {
    /// Listens where relays are answered, and at the same port by UDP; not with a socket file, by which no edge tells anything.
    pub(super) async fn open(relay: Option<&DialAddress>) -> anyhow::Result<Self> {
        let relay = match relay {
            Some(address) => Some(RelayServer::bind(address).await?),
            None => None,
        };
        let evidence = match relay.as_ref().and_then(RelayServer::address) {
            Some(address) => Some(EvidenceListener::bind(address).await?),
            None => None,
        };
        Ok(Self { relay, evidence })
    }

    pub(super) fn spawn(self, wires: &Wires, suspicions: Suspicions, tasks: &mut Tasks) {
        let Self { relay, evidence } = self;
        if let Some(relay) = relay {
            let answer = wires.answer();
            tasks.spawn("relay", |stop| relay.serve(answer, stop));
        }
        if let Some(evidence) = evidence {
            let hearing = Hearing { plans: wires.plans.subscribe(), suspicions };
            let hear = Arc::new(move |told: Told<'_>| hearing.hear(told));
            tasks.spawn("evidence listener", |stop| evidence.hear(hear, stop));
        }
    }
}
