use crate::core::routing::{OverrideDoc, Refusal};
use crate::core::status::{
    FailbackDto, HistoryDto, LiveDto, OverrideClearedDto, OverrideSetDto, PastDto, ReconcileDto, SteeredDto,
};
use crate::core::steering::SteerDoc;

/// Carries out what operators order. What is answered holds already, also after a restart.
pub trait Operator: Clone + Send + Sync + 'static {
    /// Lets an override hold.
    fn set_override(&self, order: OverrideDoc) -> impl Future<Output = Result<OverrideSetDto, Refusal>> + Send;

    /// Ends the override of a target.
    fn clear_override(
        &self,
        target: String,
        by: String,
    ) -> impl Future<Output = Result<OverrideClearedDto, Refusal>> + Send;

    /// Lets the traffic of a service return to what it prefers.
    fn fail_back(&self, service: String, by: String) -> impl Future<Output = Result<FailbackDto, Refusal>> + Send;

    /// Follows the source no more, or again, or otherwise.
    fn steer(&self, order: SteerDoc) -> impl Future<Output = Result<SteeredDto, Refusal>> + Send;

    /// Has the source read now. Says when that was asked.
    fn reconcile(&self) -> ReconcileDto;

    /// What happened to what is served, newest first.
    fn history(&self, limit: u32) -> impl Future<Output = Result<HistoryDto, Refusal>> + Send;

    /// All that is known of one revision.
    fn revision(&self, named: String) -> impl Future<Output = Result<PastDto, Refusal>> + Send;

    /// What the next plan is made of.
    fn live(&self) -> impl Future<Output = Result<LiveDto, Refusal>> + Send;

    /// How one revision differs from another, for people.
    fn diff(&self, from: String, to: String) -> impl Future<Output = Result<String, Refusal>> + Send;
}
