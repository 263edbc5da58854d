use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::archive;
use crate::api::Operator;
use crate::controller::{
    Clock, DeskOrder, FailbackOrder, Kept, PlanSnapshot, Set, SourceState, SteerOrder, Steered, kept,
};
use crate::core::health::Observed;
use crate::core::routing::{InventoryGuard, Override, OverrideDoc, Overrides, Refusal};
use crate::core::status::{
    FailbackDto, HistoryDto, LiveDto, OverrideClearedDto, OverrideDto, OverrideSetDto, PastDto, ReconcileDto,
    SteeredDto,
};
use crate::core::steering::SteerDoc;
use crate::store::Store;

/// Brings orders from the API to the loops that carry them out, and answers back.
#[derive(Clone)]
pub(super) struct Operators {
    /// To the desk.
    pub(super) orders: mpsc::Sender<DeskOrder>,
    /// To the reconciler.
    pub(super) failbacks: mpsc::Sender<FailbackOrder>,
    /// To the watcher.
    pub(super) steers: mpsc::Sender<SteerOrder>,
    /// Wakes the watcher.
    pub(super) wake: Arc<Notify>,
    /// Has every edge looked at.
    pub(super) looks: Arc<Notify>,
    /// What happened.
    pub(super) store: Store,
    /// The inventory's folder in its repository.
    pub(super) folder: String,
    /// What is desired, to say whether it has what an override is about.
    pub(super) source: watch::Receiver<SourceState>,
    /// What is observed.
    pub(super) observed: watch::Receiver<Arc<Observed>>,
    /// The overrides in force.
    pub(super) overrides: watch::Receiver<Arc<Overrides>>,
    /// The newest plan.
    pub(super) plans: watch::Receiver<Option<PlanSnapshot>>,
    /// How much observation may take out of the whole inventory at once.
    pub(super) guard: Option<InventoryGuard>,
    /// The wall clock.
    pub(super) clock: Clock,
}

impl Operators {
    fn shown(&self, decided: &Override) -> OverrideDto {
        let source = self.source.borrow();
        OverrideDto::of(decided, source.served.as_ref().map(|served| &*served.desired), (self.clock)())
    }
}

impl Operator for Operators {
    async fn set_override(&self, order: OverrideDoc) -> Result<OverrideSetDto, Refusal> {
        let Set { decided, warnings } = ask(&self.orders, |reply| DeskOrder::Set(order, reply)).await?;
        Ok(OverrideSetDto { decided: self.shown(&decided), warnings })
    }

    async fn clear_override(&self, target: String, by: String) -> Result<OverrideClearedDto, Refusal> {
        let cleared = ask(&self.orders, |reply| DeskOrder::Clear { target, by, reply }).await?;
        Ok(OverrideClearedDto { cleared: self.shown(&cleared) })
    }

    async fn fail_back(&self, service: String, by: String) -> Result<FailbackDto, Refusal> {
        let returned = ask(&self.failbacks, |reply| FailbackOrder { service, by, reply }).await?;
        Ok(FailbackDto::of(&returned))
    }

    async fn steer(&self, order: SteerDoc) -> Result<SteeredDto, Refusal> {
        let Steered { step, newest } = ask(&self.steers, |reply| SteerOrder { doc: order, reply }).await?;
        Ok(SteeredDto::of(&step, newest.as_ref()))
    }

    fn reconcile(&self) -> ReconcileDto {
        let at = (self.clock)();
        self.wake.notify_one();
        // What an edge runs counts from a look after this moment.
        self.looks.notify_one();
        ReconcileDto { at }
    }

    async fn history(&self, limit: u32) -> Result<HistoryDto, Refusal> {
        archive::history(&self.store, limit).await
    }

    async fn revision(&self, named: String) -> Result<PastDto, Refusal> {
        archive::show(&self.store, &named, &self.folder).await
    }

    async fn live(&self) -> Result<LiveDto, Refusal> {
        let none = || Refusal::not_now("nothing is planned yet; see `bascule status`, and try again".to_owned());
        let PlanSnapshot { plan, desired } = self.plans.borrow().clone().ok_or_else(none)?;
        let (observed, overrides) = (Arc::clone(&self.observed.borrow()), Arc::clone(&self.overrides.borrow()));
        let Kept { info: _, files, quarantine: _ } = kept(&self.store, desired.revision.as_str()).await?;
        let planned = (&*plan, &*desired);
        Ok(LiveDto::of(planned, &files, (&observed, &overrides), self.guard, (self.clock)()))
    }

    async fn diff(&self, from: String, to: String) -> Result<String, Refusal> {
        archive::diff(&self.store, &from, &to).await
    }
}

async fn ask<Order, T>(
    to: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
) -> Result<T, Refusal> {
    // Either end is gone only while the process ends.
    let ending = || Refusal::not_now("this controller is shutting down; ask the next one".to_owned());
    let (reply, answer) = oneshot::channel();
    to.send(order(reply)).await.map_err(|_| ending())?;
    answer.await.map_err(|_| ending())?
}
