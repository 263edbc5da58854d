use std::sync::Arc;

use tokio::sync::watch;

use super::{PlanSnapshot, Pulse, RelayLog};
use crate::core::caddy::relay::answer;
use crate::edge::Asked;

/// How relays are answered: by the newest plan, as long as the loop that judges is alive. With none, or a loop that hangs,
/// nothing is answered, and edges ask the backends themselves.
#[derive(Debug)]
pub struct Answering {
    /// The newest plan.
    pub plans: watch::Receiver<Option<PlanSnapshot>>,
    /// Tells whether the loop that judges is alive.
    pub pulse: Arc<Pulse>,
    /// Where questions are noted.
    pub heard: Arc<RelayLog>,
}

impl Answering {
    /// Whether an upstream should get traffic; none where bascule has no opinion.
    pub fn answer(&self, asked: Asked<'_>) -> Option<bool> {
        let snapshot = self.plans.borrow();
        let snapshot = snapshot.as_ref().filter(|_| self.pulse.is_alive())?;
        let edge = snapshot.desired.edges.get(&asked.edge.parse().ok()?)?;
        self.heard.note(&edge.name);
        // What is asked for and not planned has left the inventory; the push that removes it is under way.
        Some(answer(&snapshot.plan.effective, asked.service, asked.upstream).unwrap_or(false))
    }
}
