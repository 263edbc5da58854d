//! What becomes of a revision for which nobody vouches who is trusted.

use tracing::error;

use super::{HELD, INVENTORY, Watcher};
use crate::controller::Refused;
use crate::core::model::RevisionInfo;
use crate::core::status::Fault;
use crate::core::trust::Distrust;
use crate::git::Revisions;

impl<S: Revisions> Watcher<S> {
    /// Whether a revision may be looked at any further. One that may not is held: the last good one stays, and nothing of it
    /// is kept. It is said in the log once, and in the status for as long as it is so.
    ///
    /// The revision that is served stays also where it would be held now, as one that was taken before signatures were asked
    /// for: edges run it, and to take it away would be an outage. That is said in the same way.
    pub(super) fn is_trusted(&self, info: &RevisionInfo, is_served: bool, distrust: Option<&Distrust>) -> bool {
        let Some(distrust) = distrust else {
            if is_served {
                // What was held is gone from the branch, or the key of what is served was listed.
                self.state.send_if_modified(|state| state.refusal.take().is_some());
            }
            return true;
        };
        let now = (self.clock)();
        let revision = info.id.short();
        let (message, outcome) = if is_served {
            let message = format!("revision {revision} is served, and would be held if it came now: {distrust}");
            (message, "the revision that is served would be held if it came now")
        } else {
            let message = format!("revision {revision} is held: {distrust}; {}", self.stays());
            (message, "revision held: nobody vouches for it who is trusted")
        };
        let said = self.state.borrow().refusal.as_ref().filter(|said| said.message == message).map(|said| said.since);
        if said.is_none() {
            error!(revision, subject = info.subject, author = info.author, reason = %distrust, "{outcome}");
        }
        self.state.send_modify(|state| {
            state.fetched_at = Some(now);
            state.fault = None;
            let since = said.unwrap_or(now);
            // What is served was applied, whatever is thought of it now.
            let reason = format!("{HELD}: {distrust}");
            state.refused = (!is_served).then(|| Refused { revision: info.id.clone(), reason });
            state.refusal = Some(Fault { scope: INVENTORY, message, since, details: Vec::new() });
        });
        false
    }
}
