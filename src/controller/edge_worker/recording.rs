//! What the state file is told of an edge: what was rendered for it, and each pass that is no routine.

use std::sync::Arc;

use tracing::warn;

use super::{EdgeWorker, Trigger};
use crate::controller::chain;
use crate::controller::target::Target;
use crate::core::model::Timestamp;
use crate::edge::{Admin, Outcome};
use crate::store::{Apply, ApplyOutcome, Render};

impl<A: Admin> EdgeWorker<A> {
    pub(super) async fn record_render(&self, target: &Target) {
        let row = Render {
            edge: self.edge.name.clone(),
            digest: target.digest.clone(),
            bytes: Arc::clone(&target.bytes),
            revision: target.revision.clone(),
            generation: target.generation,
            at: (self.clock)(),
        };
        if let Err(error) = self.store.record_render(row).await {
            warn!(edge = %self.edge.name, error = %chain(&error), "rendered configuration not written to the state file");
        }
    }

    pub(super) async fn record_apply(
        &self,
        target: &Target,
        outcome: ApplyOutcome,
        trigger: Trigger,
        (started_at, finished_at): (Timestamp, Timestamp),
    ) {
        let row = Apply {
            edge: self.edge.name.clone(),
            digest: target.digest.clone(),
            revision: target.revision.clone(),
            generation: target.generation,
            trigger: trigger.as_str().to_owned(),
            outcome,
            started_at,
            finished_at,
        };
        if let Err(error) = self.store.record_apply(row).await {
            warn!(edge = %self.edge.name, error = %chain(&error), "apply not written to the state file");
        }
    }
}

pub(super) fn store_outcome(outcome: &Outcome) -> ApplyOutcome {
    use ApplyOutcome as Row;
    match outcome {
        Outcome::Unchanged => Row::Unchanged,
        Outcome::Applied => Row::Applied,
        Outcome::Rejected { message, .. } => Row::Rejected { message: message.clone() },
        Outcome::Conflict => Row::Conflict,
        Outcome::Drifted { seen } => Row::Failed { message: format!("read back {}", seen.digest) },
        Outcome::Unverified { error } | Outcome::Failed { error } => Row::Failed { message: chain(error) },
    }
}
