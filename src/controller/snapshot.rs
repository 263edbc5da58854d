use std::collections::BTreeMap;
use std::sync::Arc;

use super::OnFault;
use crate::core::inventory::{Desired, Quarantined};
use crate::core::model::{EdgeName, Revision, RevisionInfo, Timestamp};
use crate::core::routing::Plan;
use crate::core::status::{EdgeReport, Fault};
use crate::core::steering::Steering;

/// What the watcher knows: the last good revision, and what is wrong with reading a newer one.
#[derive(Debug, Clone, Default)]
pub struct SourceState {
    /// The last good revision; none before the first.
    pub served: Option<Served>,
    /// When the source was last read with success.
    pub fetched_at: Option<Timestamp>,
    /// Why the source cannot be read now.
    pub fault: Option<Fault>,
    /// Why the newest revision is refused. It stays while the source cannot be read.
    pub refusal: Option<Fault>,
    /// Which revision is refused or held, as long as `refusal` tells of one that is not served.
    pub refused: Option<Refused>,
    /// The newest revision that the source had, served or not; none before the first.
    pub newest: Option<RevisionInfo>,
    /// How operators steer.
    pub steering: Steering,
    /// What becomes of a revision whose errors are of some services.
    pub on_fault: OnFault,
}

/// A revision that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which one.
    pub revision: Revision,
    /// Why, for whoever wrote it: `refused: inventory/backends/a.yaml:3:7: error[unknown-site]: …`.
    pub reason: String,
}

/// A revision that is served: one without errors, or what is composed of one that has some.
#[derive(Debug, Clone)]
pub struct Served {
    /// Which revision.
    pub info: RevisionInfo,
    /// What it declares, with what is in quarantine as it was served before.
    pub desired: Arc<Desired>,
    /// The services that it is served without.
    pub quarantine: Arc<[Quarantined]>,
}

/// A plan with what it was made from.
#[derive(Debug, Clone)]
pub struct PlanSnapshot {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The desired state it was made from: edges are in it.
    pub desired: Arc<Desired>,
}

/// How each edge stands.
pub type EdgeReports = BTreeMap<EdgeName, EdgeReport>;
