use tokio::sync::{mpsc, oneshot, watch};

use crate::api::Operator;
use crate::controller::{Clock, DeskOrder, FailbackOrder, Set, SourceState};
use crate::core::routing::{Override, OverrideDoc, Refusal};
use crate::core::status::{FailbackDto, OverrideClearedDto, OverrideDto, OverrideSetDto};

/// Brings orders from the API to the loops that carry them out, and answers back.
#[derive(Clone)]
pub(super) struct Operators {
    /// To the desk.
    pub(super) orders: mpsc::Sender<DeskOrder>,
    /// To the reconciler.
    pub(super) failbacks: mpsc::Sender<FailbackOrder>,
    /// What is desired, to say whether it has what an override is about.
    pub(super) source: watch::Receiver<SourceState>,
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
