//! Services that an edge's Caddy refuses: they stay there as the edge took them last, and the others move on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::edge_worker::EdgeWorker;
use super::memory::Memory;
use super::target::Target;
use super::watcher::chain;
use super::{PlanSnapshot, kept};
use crate::core::caddy::culprit;
use crate::core::inventory::load;
use crate::core::model::{Digest, Revision, ServiceName};
use crate::core::routing::{Effective, EffectiveService, Inputs, plan};
use crate::core::status::RefusedService;
use crate::edge::Admin;

/// Services of one edge that may be in quarantine at once. What is refused of more is not theirs: a Caddy without a module
/// that all of them need would be asked in vain once for each.
const REFUSED_MAX: usize = 8;

/// The services that one edge refuses.
#[derive(Debug, Default)]
pub(super) struct Refusing(BTreeMap<ServiceName, Refused>);

#[derive(Debug)]
struct Refused {
    told: RefusedService,
    /// What the edge has of it; none for a new one.
    stand_in: Option<Arc<EffectiveService>>,
}

impl Refusing {
    /// What this edge should serve: each service that it refuses as it was, unless something else is declared of it by now.
    pub(super) fn effective<'e>(&self, effective: &'e Effective) -> Cow<'e, Effective> {
        let is_the_same = |(name, refused): &(&ServiceName, &Refused)| {
            effective.services.get(*name).is_some_and(|now| now.declared() == refused.told.refused)
        };
        let held = self.0.iter().filter(is_the_same);
        let stand_ins: BTreeMap<_, _> = held.map(|(name, it)| (name.clone(), it.stand_in.clone())).collect();
        if stand_ins.is_empty() { Cow::Borrowed(effective) } else { Cow::Owned(effective.with(&stand_ins)) }
    }

    fn told(&self) -> Vec<RefusedService> {
        self.0.values().map(|refused| refused.told.clone()).collect()
    }
}

impl<A: Admin> EdgeWorker<A> {
    /// What the state file knows of refused services.
    pub(super) async fn recall_refused(&self, memory: &mut Memory) {
        let refused = self.store.refused(self.edge.name.clone()).await.unwrap_or_else(|error| {
            warn!(edge = %self.edge.name, error = %chain(&error), "what the edge refuses is not readable in the state file");
            Vec::new()
        });
        for told in refused {
            let stand_in = match &told.kept {
                Some(revision) => self.version(&told.service, revision).await,
                None => None,
            };
            // Without what it was, it is tried again; what is refused then stalls the edge, which goes on as it is.
            if stand_in.is_some() || told.kept.is_none() {
                memory.refusing.0.insert(told.service.clone(), Refused { told, stand_in });
            }
        }
        memory.report.refused = memory.refusing.told();
    }

    /// Takes out of what is pushed the one service that a refusal is of. False where it is of none, or nothing is gained.
    pub(super) async fn hold_back(
        &self,
        memory: &mut Memory,
        snapshot: &PlanSnapshot,
        target: &Target,
        message: &str,
    ) -> bool {
        let Some(service) = culprit(message, &target.config()) else { return false };
        let Some(declared) = snapshot.plan.effective.services.get(&service).map(|it| it.declared()) else {
            return false;
        };
        let earlier = memory.refusing.0.get(&service);
        // What stands in for it is refused as well.
        let is_held = earlier.is_some_and(|it| it.told.refused == declared);
        if is_held || (earlier.is_none() && memory.refusing.0.len() >= REFUSED_MAX) {
            return false;
        }
        let refused = match memory.refusing.0.remove(&service) {
            Some(Refused { told, stand_in }) => {
                let told = RefusedService { refused: declared, message: message.to_owned(), ..told };
                Refused { told, stand_in }
            }
            None => match self.begin(memory, snapshot, &service, declared, message).await {
                Some(refused) => refused,
                None => return false,
            },
        };
        let kept = refused.told.kept.as_ref().map_or("left out", |kept| kept.short());
        error!(edge = %self.edge.name, %service, revision = %snapshot.plan.revision, kept, error = message,
            "service in quarantine at the edge: Caddy rejected it; the others go on");
        memory.refusing.0.insert(service, refused);
        self.keep_refused(memory).await;
        true
    }

    /// A service that was not refused before, with what the edge has of it. None where that is not known, or is the same.
    async fn begin(
        &self,
        memory: &Memory,
        snapshot: &PlanSnapshot,
        service: &ServiceName,
        declared: Digest,
        message: &str,
    ) -> Option<Refused> {
        let (kept, stand_in) = match (&memory.taken, &memory.last_good) {
            (Some(taken), _) => {
                let before = taken.plan.effective.services.get(service).cloned();
                (Some(taken.plan.revision.clone()), before)
            }
            (None, Some(last_good)) => {
                let was_there = last_good.has_service(service);
                let before = if was_there { Some(self.version(service, &last_good.revision).await?) } else { None };
                (Some(last_good.revision.clone()), before)
            }
            (None, None) => (None, None),
        };
        if stand_in.as_ref().is_some_and(|stand_in| stand_in.declared() == declared) {
            return None;
        }
        let told = RefusedService {
            service: service.clone(),
            since: (self.clock)(),
            revision: snapshot.plan.revision.clone(),
            kept: kept.filter(|_| stand_in.is_some()),
            refused: declared,
            message: message.to_owned(),
        };
        Some(Refused { told, stand_in })
    }

    /// A service as a revision of the state file has it.
    async fn version(&self, service: &ServiceName, revision: &Revision) -> Option<Arc<EffectiveService>> {
        let kept = kept(&self.store, revision.as_str()).await.ok()?;
        let service = service.clone();
        // Thousands of files take a second.
        let read = move || {
            let desired = load(&kept.files, kept.info.id).desired?;
            plan(&Inputs::declared(&desired)).effective.services.remove(&service)
        };
        self.store.blocking(read).await.ok().flatten()
    }

    /// The edge runs what this plan says: what it no longer refuses is out of quarantine.
    pub(super) async fn took(&self, memory: &mut Memory, snapshot: &PlanSnapshot) {
        memory.taken = Some(snapshot.clone());
        let services = &snapshot.plan.effective.services;
        let before = memory.refusing.0.len();
        memory.refusing.0.retain(|name, refused| {
            let is_refused = services.get(name).is_some_and(|now| now.declared() == refused.told.refused);
            if !is_refused {
                info!(edge = %self.edge.name, service = %name, "quarantine at the edge over");
            }
            is_refused
        });
        if memory.refusing.0.len() < before {
            self.keep_refused(memory).await;
            self.publish(memory);
        }
    }

    /// Durable before visible: what a start after a crash would try again is known to be refused.
    async fn keep_refused(&self, memory: &mut Memory) {
        let told = memory.refusing.told();
        memory.report.refused.clone_from(&told);
        if let Err(error) = self.store.record_refused(self.edge.name.clone(), told).await {
            warn!(edge = %self.edge.name, error = %chain(&error), "what the edge refuses not written to the state file");
        }
    }
}
