use crate::core::routing::{OverrideDoc, Refusal};
use crate::core::status::{FailbackDto, OverrideClearedDto, OverrideSetDto};

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
}
