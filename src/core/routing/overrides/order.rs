use serde::{Deserialize, Serialize};

use super::{Action, Override, Target};
use crate::core::inventory::Desired;
use crate::core::model::{Term, Timestamp};

/// Characters of a reason, at most: a line of a status.
const REASON_MAX: usize = 200;
/// Characters of a person's name, at most.
const BY_MAX: usize = 60;

/// An override as an operator orders it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideDoc {
    /// What it is about: `backend:api-dijon-1`, `site:dijon`, or a bare name that only one of them has.
    pub target: String,
    /// `drain`, `up` or `down`.
    pub action: String,
    /// How long it holds: a number and a unit (s, m, h, d), at most 30 days.
    #[serde(rename = "for")]
    pub term: String,
    /// Why, for everybody who looks.
    pub reason: String,
    /// Who orders it. Default: nobody says.
    #[serde(default)]
    pub by: String,
}

impl OverrideDoc {
    /// The override, if the order makes sense.
    pub fn accept(&self, desired: &Desired, now: Timestamp) -> Result<Override, Refusal> {
        let Self { target, action, term, reason, by } = self;
        let target = Target::named(target, desired)?;
        let action: Action = action.parse().map_err(|error| Refusal::of(Field::Action, format!("{error}")))?;
        let term: Term = term.parse().map_err(|error| Refusal::of(Field::For, format!("{error}")))?;
        let reason = self::reason(reason)?;
        let by = signature(by)?;
        Ok(Override { target, action, reason, by, set_at: now, until: now.plus(term.get()) })
    }
}

/// Why something is ordered, as it may stand in logs and lists.
pub fn reason(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        let message = "it is empty; say in a few words why, such as `disk swap`".to_owned();
        return Err(Refusal::of(Field::Reason, message));
    }
    line(Field::Reason, text, REASON_MAX)
}

/// Who orders something, as it may stand in logs and lists.
pub fn signature(by: &str) -> Result<String, Refusal> {
    line(Field::By, by.trim(), BY_MAX)
}

/// A line of text: it stands in logs and in terminals, so nothing in it may end a line or move a cursor.
fn line(field: Field, text: &str, max: usize) -> Result<String, Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::of(field, "it has line ends or control characters; write it as one line".to_owned()));
    }
    let length = text.chars().count();
    if length > max {
        return Err(Refusal::of(field, format!("it has {length} characters, and at most {max} are kept; shorten it")));
    }
    Ok(text.to_owned())
}

/// A field of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// What it is about.
    Target,
    /// What is decided.
    Action,
    /// How long it holds.
    For,
    /// Why.
    Reason,
    /// Who orders it.
    By,
}

impl Field {
    /// The field as it is written in an order.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Action => "action",
            Self::For => "for",
            Self::Reason => "reason",
            Self::By => "by",
        }
    }
}

/// Why an operator's order is not carried out, in words that name the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to make of it.
    pub cause: Cause,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What to make of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A field of the order is wrong.
    Field(Field),
    /// What it is about is not there.
    Unknown,
    /// There is nothing to do.
    Nothing,
    /// It cannot be carried out now; the same order may be later.
    NotNow,
}

impl Refusal {
    /// Refuses for a field.
    pub const fn of(field: Field, message: String) -> Self {
        Self { cause: Cause::Field(field), message }
    }

    /// Refuses for something that is not there.
    pub const fn unknown(message: String) -> Self {
        Self { cause: Cause::Unknown, message }
    }

    /// Refuses since there is nothing to do.
    pub const fn nothing(message: String) -> Self {
        Self { cause: Cause::Nothing, message }
    }

    /// Refuses for now.
    pub const fn not_now(message: String) -> Self {
        Self { cause: Cause::NotNow, message }
    }
}
