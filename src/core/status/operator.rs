//! What operators are answered, and what is shown of their decisions.

use serde::{Deserialize, Serialize};

use crate::core::inventory::Desired;
use crate::core::model::Timestamp;
use crate::core::routing::{Action, Cause, Choice, Override, Refusal, Returned, Target};

/// An operator's temporary decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideDto {
    /// What it is about: `backend:api-dijon-1` or `site:dijon`.
    pub target: Target,
    /// What is decided.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Who decided; empty where nobody said.
    pub by: String,
    /// When it was decided.
    pub set_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// How long it still holds, in seconds.
    pub remaining_seconds: u64,
    /// False where the inventory does not have the target (any more): the override does nothing then.
    pub declared: bool,
}

/// The answer of `GET /v1/overrides`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverridesDto {
    /// Those in force, by target.
    pub overrides: Vec<OverrideDto>,
}

/// The answer of `POST /v1/overrides`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideSetDto {
    /// What holds now.
    #[serde(rename = "override")]
    pub decided: OverrideDto,
    /// What the operator should know of it.
    pub warnings: Vec<String>,
}

/// The answer of `DELETE /v1/overrides/{target}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideClearedDto {
    /// What holds no more.
    pub cleared: OverrideDto,
}

/// The answer of `POST /v1/services/{service}/failback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailbackDto {
    /// The service.
    pub service: String,
    /// What served: `site thory`; none where the policy does not choose.
    pub from: Option<String>,
    /// What serves now.
    pub to: Option<String>,
    /// The backends that get traffic now and did not.
    pub backends: Vec<String>,
}

/// The answer to an order that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDto {
    /// What is wrong, and what to do.
    pub error: String,
    /// The field of the order that is wrong, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl OverrideDto {
    /// Shows a decision at a moment, beside the inventory that is served; none before the first.
    pub fn of(decided: &Override, desired: Option<&Desired>, now: Timestamp) -> Self {
        let Override { target, action, reason, by, set_at, until } = decided;
        Self {
            target: target.clone(),
            action: *action,
            reason: reason.clone(),
            by: by.clone(),
            set_at: *set_at,
            until: *until,
            remaining_seconds: until.since(now).as_secs(),
            declared: desired.is_none_or(|desired| target.is_declared(desired)),
        }
    }

    /// What is decided in words: `down, until 14:05 UTC, "disk swap" (by anna)`.
    pub fn decision(&self, now: Timestamp) -> String {
        let Self { target, action, reason, by, set_at, until, remaining_seconds: _, declared: _ } = self.clone();
        Override { target, action, reason, by, set_at, until }.decision(now)
    }
}

impl FailbackDto {
    /// Shows what came of an operator's word.
    pub fn of(returned: &Returned) -> Self {
        let Returned { service, from, to, backends } = returned;
        Self {
            service: service.to_string(),
            from: from.as_ref().map(Choice::words),
            to: to.as_ref().map(Choice::words),
            backends: backends.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ErrorDto {
    /// Shows why an order is not carried out.
    pub fn of(refusal: &Refusal) -> Self {
        let Refusal { cause, message } = refusal;
        match cause {
            Cause::Field(field) => {
                let field = field.as_str();
                Self { error: format!("`{field}`: {message}"), field: Some(field.to_owned()) }
            }
            Cause::Unknown | Cause::Nothing | Cause::NotNow => Self { error: message.clone(), field: None },
        }
    }
}
