use tokio::sync::watch;
use tracing::debug;

use super::PlanSnapshot;
use crate::core::caddy::evidence::{Told, backend_of};
use crate::probe::Suspicions;

/// What becomes of what edges tell of the answers that clients get: the backend that gave a bad one is probed at once. It is
/// no verdict, and none follows from it; probes judge.
#[derive(Debug)]
pub struct Hearing {
    /// The newest plan.
    pub plans: watch::Receiver<Option<PlanSnapshot>>,
    /// To the prober.
    pub suspicions: Suspicions,
}

impl Hearing {
    /// Takes what an edge told. False for an edge that should tell nothing, and for what is not planned: it is of another
    /// plan, or of nobody whom bascule knows.
    pub fn hear(&self, told: Told<'_>) -> bool {
        let snapshot = self.plans.borrow();
        let Some(snapshot) = &*snapshot else { return false };
        let edge = told.edge.parse().ok().and_then(|name| snapshot.desired.edges.get(&name));
        if !edge.is_some_and(|edge| edge.relay.as_ref().is_some_and(|relay| relay.evidence)) {
            return false;
        }
        let Some(backend) = backend_of(&snapshot.plan.effective, &told) else { return false };
        debug!(%backend, edge = told.edge, status = told.status, "clients meet errors");
        self.suspicions.tell(backend);
        true
    }
}
