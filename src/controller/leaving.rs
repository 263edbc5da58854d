//! How much is still open to backends that are leaving, as each edge tells.

use std::collections::BTreeSet;

use tracing::debug;

use super::edge_worker::EdgeWorker;
use super::memory::Memory;
use super::watcher::chain;
use crate::core::routing::Plan;
use crate::edge::Admin;

impl<A: Admin> EdgeWorker<A> {
    /// Asks the edge what is open to backends that are leaving, where there may be any: one that is drained by the
    /// inventory or an operator, or one that this pass has removed. True where the report says something else than before.
    pub(super) async fn look_at_leaving(&self, memory: &mut Memory, plan: &Plan, has_pushed: bool) -> bool {
        let had_some = memory.report.leaving.as_ref().is_none_or(|leaving| !leaving.is_empty());
        if !(had_some || has_pushed || plan.effective.has_leaving()) {
            return false;
        }
        let leaving = match self.admin.open_requests().await {
            Ok(open) => open.map(|open| plan.effective.leaving(&self.edge, &open, &BTreeSet::new())),
            Err(error) => {
                debug!(edge = %self.edge.name, error = %chain(&error), "the edge does not say what is open");
                None
            }
        };
        let is_news = leaving != memory.report.leaving;
        memory.report.leaving = leaving;
        is_news
    }
}
