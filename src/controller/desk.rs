use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::reconciler::until;
use super::{Clock, PlanSnapshot, SourceState, chain};
use crate::core::health::Observed;
use crate::core::inventory::Desired;
use crate::core::routing::{
    Choice, Inputs, InventoryGuard, Override, OverrideDoc, Overrides, Refusal, Returned, fail_back, outlook, signature,
};
use crate::store::{Store, StoreError};

/// Orders that wait, at most. People give them one at a time; a full queue makes who asks wait.
pub const ORDERS_BOUND: usize = 16;

/// What an operator wants, and where the answer goes. Who asked may be gone by then; the order is carried out all the same.
#[derive(Debug)]
pub enum DeskOrder {
    /// An override shall hold.
    Set(OverrideDoc, oneshot::Sender<Result<Set, Refusal>>),
    /// The override of a target, as somebody names it, shall hold no more.
    Clear {
        /// The target.
        target: String,
        /// Who says so.
        by: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Arc<Override>, Refusal>>,
    },
}

/// An override that holds now.
#[derive(Debug)]
pub struct Set {
    /// What was decided.
    pub decided: Override,
    /// What the operator should know of it.
    pub warnings: Vec<String>,
}

/// Takes operators' orders: the one place where overrides begin and end.
#[derive(Debug)]
pub struct Desk {
    /// The wall clock.
    pub clock: Clock,
    /// Where overrides are kept.
    pub store: Store,
    /// How much observation may take out of the whole inventory at once.
    pub guard: Option<InventoryGuard>,
    /// What is desired.
    pub source: watch::Receiver<SourceState>,
    /// What is observed.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// The newest plan.
    pub plans: watch::Receiver<Option<PlanSnapshot>>,
    /// The orders.
    pub orders: mpsc::Receiver<DeskOrder>,
    /// The overrides in force.
    pub overrides: watch::Sender<Arc<Overrides>>,
}

impl Desk {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            self.end_those_due().await;
            let next_end = self.overrides.borrow().next_end((self.clock)());
            let order = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(order) = self.orders.recv() => order,
                () = until(next_end, self.clock), if next_end.is_some() => continue,
            };
            // Not cut off by shutdown: what is written is also said.
            match order {
                DeskOrder::Set(doc, reply) => {
                    let _ = reply.send(self.set(&doc).await);
                }
                DeskOrder::Clear { target, by, reply } => {
                    let _ = reply.send(self.clear(&target, &by).await);
                }
            }
        }
    }

    async fn set(&self, doc: &OverrideDoc) -> Result<Set, Refusal> {
        let now = (self.clock)();
        let Some(desired) = self.desired() else { return Err(not_served_yet()) };
        let decided = doc.accept(&desired, now)?;
        let mut overrides = Overrides::clone(&self.overrides.borrow());
        let before = overrides.insert(decided.clone());
        // Durable before it acts, and before it is answered.
        let written = self.store.record_override(decided.clone()).await;
        written.map_err(|error| unwritten(&error, "the override does not hold"))?;
        let warnings = self.outlook(&desired, &overrides, &decided);
        self.overrides.send_replace(Arc::new(overrides));
        let Override { target, action, reason, by, set_at: _, until } = &decided;
        info!(%target, %action, reason, by, %until, replaces = before.map(|it| it.decision(now)), "override set");
        for warning in &warnings {
            warn!(%target, warning, "override set");
        }
        Ok(Set { decided, warnings })
    }

    fn outlook(&self, desired: &Desired, overrides: &Overrides, decided: &Override) -> Vec<String> {
        let previous = self.plans.borrow().as_ref().map(|snapshot| Arc::clone(&snapshot.plan));
        let inputs = Inputs {
            observed: &self.observed.borrow(),
            overrides,
            previous: previous.as_ref().map(|plan| &plan.effective),
            guard: self.guard,
            now: (self.clock)(),
            ..Inputs::declared(desired)
        };
        outlook(&inputs, decided)
    }

    async fn clear(&self, target: &str, by: &str) -> Result<Arc<Override>, Refusal> {
        let by = signature(by)?;
        let now = (self.clock)();
        let mut overrides = Overrides::clone(&self.overrides.borrow());
        let target = overrides.named(target)?;
        let Some(cleared) = overrides.remove(&target) else {
            return Err(Refusal::unknown(format!("`{target}` is not overridden")));
        };
        let written = self.store.remove_overrides(vec![target.clone()]).await;
        written.map_err(|error| unwritten(&error, "the override still holds"))?;
        self.overrides.send_replace(Arc::new(overrides));
        info!(%target, by, was = cleared.decision(now), "override cleared");
        Ok(cleared)
    }

    /// Takes out what has ended. Plans do not count it any more by themselves.
    async fn end_those_due(&self) {
        let now = (self.clock)();
        let mut overrides = Overrides::clone(&self.overrides.borrow());
        let ended = overrides.take_ended(now);
        if ended.is_empty() {
            return;
        }
        self.overrides.send_replace(Arc::new(overrides));
        for Override { target, action, reason, by, set_at: _, until } in ended.iter().map(|it| &**it) {
            info!(%target, %action, reason, by, %until, "override ended");
        }
        let targets = ended.iter().map(|it| it.target.clone()).collect();
        if let Err(error) = self.store.remove_overrides(targets).await {
            // It is over all the same: the next start finds that it has ended.
            warn!(error = %chain(&error), "overrides that have ended not taken out of the state file");
        }
    }

    fn desired(&self) -> Option<Arc<Desired>> {
        self.source.borrow().served.as_ref().map(|served| Arc::clone(&served.desired))
    }
}

/// An operator's word that the traffic of a service may return now, and where the answer goes.
#[derive(Debug)]
pub struct FailbackOrder {
    /// The service, as somebody names it.
    pub service: String,
    /// Who says so.
    pub by: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Returned, Refusal>>,
}

/// Judges a failback, and makes the state file forget what was chosen: durable before it acts.
pub(super) async fn approve(
    inputs: &Inputs<'_>,
    store: &Store,
    FailbackOrder { service, by, reply: _ }: &FailbackOrder,
) -> Result<Returned, Refusal> {
    let by = signature(by)?;
    let returned = fail_back(inputs, service)?;
    let written = store.forget_choice(returned.service.clone()).await;
    written.map_err(|error| unwritten(&error, "traffic stays where it is"))?;
    let words = |choice: &Option<Choice>| choice.as_ref().map(Choice::words);
    info!(service, by, from = words(&returned.from), to = words(&returned.to), "failback by an operator");
    Ok(returned)
}

/// Nothing can be ordered before there is anything to order it about.
pub(super) fn not_served_yet() -> Refusal {
    Refusal::not_now("no revision of the inventory is served yet; see `bascule status`, and try again".to_owned())
}

pub(super) fn unwritten(error: &StoreError, so: &str) -> Refusal {
    let error = chain(error);
    error!(error, so, "an operator's order cannot be written to the state file");
    Refusal::not_now(format!("it cannot be written to the state file, so {so}: {error}"))
}
