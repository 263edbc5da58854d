//! Steering by hand: an operator stops following the source, goes back to an older revision, or lets a held one pass.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::model::{Revision, TextError, Timestamp};
use crate::core::routing::{Refusal, reason, signature};

/// Characters of a revision that somebody has to name, at least: fewer are a slip of the hand.
const NAMED_MIN: usize = 4;

/// What an operator orders about the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum SteerDoc {
    /// What is served stays, whatever is committed.
    Suspend {
        /// Why, for everybody who looks.
        reason: String,
        /// Who orders it. Default: nobody says.
        #[serde(default)]
        by: String,
    },
    /// An older revision is served, and stays, whatever is committed.
    Rollback {
        /// Which one: its id, or enough of its beginning.
        to: String,
        /// Why, for everybody who looks.
        reason: String,
        /// Who orders it. Default: nobody says.
        #[serde(default)]
        by: String,
    },
    /// The source is followed again.
    Resume {
        /// Who orders it. Default: nobody says.
        #[serde(default)]
        by: String,
    },
    /// The revision that is held for what it takes out may be served.
    Allow {
        /// Which one: its id, or enough of its beginning.
        revision: String,
        /// Why, for everybody who looks.
        reason: String,
        /// Who orders it. Default: nobody says.
        #[serde(default)]
        by: String,
    },
}

impl SteerDoc {
    /// What was done.
    pub const fn act(&self) -> Act {
        match self {
            Self::Suspend { .. } => Act::Suspend,
            Self::Rollback { .. } => Act::Rollback,
            Self::Resume { .. } => Act::Resume,
            Self::Allow { .. } => Act::Allow,
        }
    }

    /// The step that this order is about a revision, if its words may stand in logs and lists.
    pub fn step(&self, revision: Revision, at: Timestamp) -> Result<Step, Refusal> {
        let (why, by) = match self {
            Self::Suspend { reason, by } | Self::Rollback { reason, by, .. } | Self::Allow { reason, by, .. } => {
                (self::reason(reason)?, by)
            }
            Self::Resume { by } => (String::new(), by),
        };
        Ok(Step { at, act: self.act(), revision, reason: why, by: signature(by)? })
    }
}

/// True where somebody who writes `text` means this revision.
pub fn names(text: &str, revision: &Revision) -> bool {
    text.len() >= NAMED_MIN && revision.as_str().starts_with(text)
}

/// The one of some revisions that somebody means.
pub fn pick<'r>(text: &str, all: impl Iterator<Item = &'r Revision>) -> Result<&'r Revision, Refusal> {
    let fitting: BTreeSet<_> = all.filter(|id| names(text, id)).collect();
    let count = fitting.len();
    match fitting.into_iter().next() {
        Some(id) if count == 1 => Ok(id),
        Some(_) => Err(Refusal::unknown(format!("`{text}` begins {count} revisions; write more of it"))),
        None => Err(Refusal::unknown(format!(
            "no revision `{text}` is kept; write at least {NAMED_MIN} characters of one that `bascule history` lists"
        ))),
    }
}

/// What an operator did about the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// What was served stays.
    Suspend,
    /// An older revision was served, and stays.
    Rollback,
    /// The source was followed again.
    Resume,
    /// A held revision was let pass.
    Allow,
}

impl Act {
    const ALL: [Self; 4] = [Self::Suspend, Self::Rollback, Self::Resume, Self::Allow];

    /// The act in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Rollback => "rollback",
            Self::Resume => "resume",
            Self::Allow => "allow",
        }
    }

    /// What was done, for people: `suspended at`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Suspend => "suspended at",
            Self::Rollback => "rolled back to",
            Self::Resume => "resumed at",
            Self::Allow => "allowed",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Act {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|act| act.as_str() == text);
        found.ok_or_else(|| TextError { text: text.to_owned(), expected: "`suspend`, `rollback`, `resume` or `allow`" })
    }
}

/// One thing that an operator did about the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: Act,
    /// The revision that was served from then on; of `allow`, the one that was let pass.
    pub revision: Revision,
    /// Why, in the operator's words; empty where nothing has to be said.
    pub reason: String,
    /// Who; empty where nobody says.
    pub by: String,
}

impl Step {
    /// The step in words: `rolled back to 0123456789ab by anna: "the new one loses sessions"`.
    pub fn words(&self) -> String {
        let Self { at: _, act, revision, reason, by } = self;
        let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
        let reason = if reason.is_empty() { String::new() } else { format!(": \"{reason}\"") };
        format!("{} {}{by}{reason}", act.words(), revision.short())
    }
}

/// How an operator steers now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steering {
    /// The step since which nothing newer is taken from the source; none while it is followed.
    pub pin: Option<Step>,
    /// The revision that was let pass last.
    pub allowed: Option<Revision>,
}

impl Steering {
    /// Takes one more step.
    pub fn take(&mut self, step: &Step) {
        match step.act {
            Act::Suspend | Act::Rollback => self.pin = Some(step.clone()),
            Act::Resume => self.pin = None,
            Act::Allow => self.allowed = Some(step.revision.clone()),
        }
    }
}

impl<'s> FromIterator<&'s Step> for Steering {
    /// What steps come to, oldest first.
    fn from_iter<T: IntoIterator<Item = &'s Step>>(steps: T) -> Self {
        let mut steering = Self::default();
        steps.into_iter().for_each(|step| steering.take(step));
        steering
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(act: Act, revision: &str) -> Step {
        let (reason, by) = ("trial".to_owned(), String::new());
        Step { at: Timestamp::from_unix_millis(0), act, revision: Revision::new(revision), reason, by }
    }

    #[test]
    fn the_last_word_about_the_source_holds() {
        for (steps, pin, allowed) in [
            (vec![], None, None),
            (vec![step(Act::Suspend, "a")], Some("a"), None),
            (vec![step(Act::Suspend, "a"), step(Act::Rollback, "b")], Some("b"), None),
            (vec![step(Act::Rollback, "b"), step(Act::Allow, "c")], Some("b"), Some("c")),
            (vec![step(Act::Allow, "c"), step(Act::Suspend, "a"), step(Act::Resume, "a")], None, Some("c")),
        ] {
            let steering: Steering = steps.iter().collect();
            assert_eq!(steering.pin.as_ref().map(|pin| pin.revision.as_str()), pin, "{steps:?}");
            assert_eq!(steering.allowed.as_ref().map(Revision::as_str), allowed, "{steps:?}");
        }
    }

    #[test]
    fn a_revision_is_named_by_enough_of_its_beginning() {
        let all = ["abcd1", "abcd2", "abce1", "abce1"].map(Revision::new);
        for (text, expected) in [
            ("abcd1", Ok("abcd1")),
            ("abce", Ok("abce1")),
            ("abcd", Err("begins 2 revisions")),
            ("abc", Err("at least 4 characters")),
            ("", Err("at least 4 characters")),
            ("ffff", Err("no revision `ffff` is kept")),
        ] {
            match (pick(text, all.iter()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_str(), expected, "{text}"),
                (Err(refusal), Err(expected)) => assert!(refusal.message.contains(expected), "{text}: {refusal:?}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
