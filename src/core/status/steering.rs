//! What operators did about the source, and what was served when.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Paint, QuarantinedDto, RevisionDto, span};
use crate::core::model::{Revision, RevisionInfo, Timestamp};
use crate::core::steering::{Act, Step};

/// One thing that an operator did about the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDto {
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: Act,
    /// The revision that was served from then on; of `allow`, the one that was let pass.
    pub revision: String,
    /// Why; empty where nothing had to be said.
    pub reason: String,
    /// Who; empty where nobody said.
    pub by: String,
}

/// The step since which nothing newer is taken from the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinDto {
    /// What was done.
    pub step: StepDto,
    /// How long ago, in seconds.
    pub age_seconds: u64,
    /// The newest revision of the source; none where it is what is served, or nothing is known of it.
    pub newest: Option<RevisionDto>,
}

/// The answer of `POST /v1/steering`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteeredDto {
    /// What was done.
    pub step: StepDto,
    /// The newest revision of the source; none where it is the one of the step, or nothing is known of it.
    pub newest: Option<RevisionDto>,
}

/// The answer of `POST /v1/reconcile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileDto {
    /// When the source was asked to be read, and the edges to be looked at; what `/v1/status` says later was seen after it.
    pub at: Timestamp,
}

/// The answer of `GET /v1/history`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryDto {
    /// What happened.
    pub entries: Vec<EntryDto>,
}

/// Something that happened to what is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryDto {
    /// A revision was read.
    Revision {
        /// When.
        at: Timestamp,
        /// Which one.
        revision: RevisionDto,
        /// True where it was served.
        accepted: bool,
        /// True where it was not served for what it takes out, and not for errors.
        #[serde(default)]
        held: bool,
        /// Why not; empty where it was.
        reason: String,
        /// The services that it was served without, as they stayed as they were or out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        quarantine: Vec<QuarantinedDto>,
    },
    /// An operator did something.
    Step(StepDto),
}

impl EntryDto {
    /// When it happened.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Revision { at, .. } | Self::Step(StepDto { at, .. }) => *at,
        }
    }
}

impl StepDto {
    /// Shows a step.
    pub fn of(step: &Step) -> Self {
        let Step { at, act, revision, reason, by } = step.clone();
        Self { at, act, revision: revision.to_string(), reason, by }
    }

    /// The step in words: `rolled back to 0123456789ab by anna: "it loses sessions"`.
    pub fn words(&self) -> String {
        let Self { at, act, revision, reason, by } = self.clone();
        Step { at, act, revision: Revision::new(revision), reason, by }.words()
    }
}

impl SteeredDto {
    /// Shows what came of an order, beside the newest revision of the source.
    pub fn of(step: &Step, newest: Option<&RevisionInfo>) -> Self {
        Self { step: StepDto::of(step), newest: other(step, newest) }
    }
}

impl PinDto {
    /// Shows why the source is not followed, beside its newest revision.
    pub fn of(step: &Step, newest: Option<&RevisionInfo>, now: Timestamp) -> Self {
        let SteeredDto { step: shown, newest } = SteeredDto::of(step, newest);
        Self { step: shown, age_seconds: now.since(step.at).as_secs(), newest }
    }

    /// The pin in words, with what is not served and what to do.
    pub fn words(&self) -> String {
        let newest = self.newest.as_ref().map_or_else(
            || "the source has nothing else".to_owned(),
            |newest| format!("the source has {}, which is not served", named(newest)),
        );
        format!("{}; {newest}; `bascule resume` follows it again", self.step.words())
    }
}

fn other(step: &Step, newest: Option<&RevisionInfo>) -> Option<RevisionDto> {
    newest.filter(|newest| newest.id != step.revision).map(RevisionDto::of)
}

/// A revision as people know it: `0123456789ab "Add thory"`.
pub fn named(revision: &RevisionDto) -> String {
    let short = revision.short();
    if revision.subject.is_empty() { short.to_owned() } else { format!("{short} \"{}\"", revision.subject) }
}

/// Shows to people what happened, a line each.
pub fn history_text(entries: &[EntryDto], now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    for entry in entries {
        let ago = span(now.since(entry.at()).as_secs());
        // Writing to a String cannot fail.
        let _ = match entry {
            EntryDto::Revision { revision, accepted: true, quarantine, .. } => {
                let (served, without) = if quarantine.is_empty() {
                    (paint.good("served "), String::new())
                } else {
                    let words: Vec<String> = quarantine.iter().map(QuarantinedDto::words).collect();
                    (paint.doubtful("served "), format!(", without {}", words.join("; ")))
                };
                writeln!(out, "{ago:>4} ago  {served}  {}  {}{without}", named(revision), revision.author)
            }
            EntryDto::Revision { revision, accepted: false, held, reason, .. } => {
                let first = reason.lines().next().unwrap_or_default();
                let word = if *held { paint.doubtful("held   ") } else { paint.bad("refused") };
                writeln!(out, "{ago:>4} ago  {word}  {}  {}: {first}", named(revision), revision.author)
            }
            EntryDto::Step(step) => writeln!(out, "{ago:>4} ago  {}  {}", paint.doubtful("by hand"), step.words()),
        };
    }
    out
}
