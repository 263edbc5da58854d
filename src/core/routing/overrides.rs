mod order;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::order::{Cause, Field, OverrideDoc, Refusal, reason, signature};
pub use self::target::Target;
use crate::core::inventory::Backend;
use crate::core::model::{TextError, Timestamp};

/// An operator's temporary decision about a backend or a site. It ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What it is about.
    pub target: Target,
    /// What is decided.
    pub action: Action,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who decided; empty where nobody says.
    pub by: String,
    /// When it was decided.
    pub set_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Override {
    /// The decision without its target: `drain, until 14:05 UTC, "disk swap" (by anna)`.
    pub fn decision(&self, now: Timestamp) -> String {
        let Self { target: _, action, reason, by, set_at: _, until } = self;
        let until = until.clock(now);
        let by = if by.is_empty() { String::new() } else { format!(" (by {by})") };
        format!("{action}, until {until}, \"{reason}\"{by}")
    }

    /// What there is to say of a backend that it holds for.
    pub(super) fn of_backend(&self, now: Timestamp) -> String {
        let decision = self.decision(now);
        match &self.target {
            Target::Backend(_) => format!("override: {decision}"),
            Target::Site(site) => format!("override of site {site}: {decision}"),
        }
    }
}

/// The end of what does not end. Nobody can order it: it is for what is foretold.
const NEVER: Timestamp = Timestamp::from_unix_millis(i64::MAX);

/// What an operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// No new request; what is open may end.
    Drain,
    /// Taken for up, whatever probes say.
    Up,
    /// Taken for down, whatever probes say.
    Down,
}

impl Action {
    /// The action in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Drain, Self::Up, Self::Down]
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| TextError { text: text.to_owned(), expected: "`drain`, `up` or `down`" })
    }
}

/// The overrides in force, one for each target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<Target, Arc<Override>>);

impl Overrides {
    /// None.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Those of a list that have not ended.
    pub fn in_force(all: impl IntoIterator<Item = Override>, now: Timestamp) -> Self {
        all.into_iter().filter(|it| it.until > now).collect()
    }

    /// Takes a decision, in place of the one before about the same target.
    pub fn insert(&mut self, decided: Override) -> Option<Arc<Override>> {
        self.0.insert(decided.target.clone(), Arc::new(decided))
    }

    /// Ends the decision about a target.
    pub fn remove(&mut self, target: &Target) -> Option<Arc<Override>> {
        self.0.remove(target)
    }

    /// Takes out those that have ended.
    pub fn take_ended(&mut self, now: Timestamp) -> Vec<Arc<Override>> {
        let ended: Vec<_> = self.0.values().filter(|it| it.until <= now).cloned().collect();
        self.0.retain(|_, it| it.until > now);
        ended
    }

    /// The one that holds for a backend: its own, before its site's.
    pub fn of(&self, backend: &Backend, now: Timestamp) -> Option<&Arc<Override>> {
        if self.0.is_empty() {
            return None;
        }
        let get = |target: &Target| self.0.get(target).filter(|it| it.until > now);
        get(&Target::Backend(backend.name.clone())).or_else(|| get(&Target::Site(backend.site.clone())))
    }

    /// The same ones, as if none of them ended.
    #[must_use]
    pub fn lasting(&self) -> Self {
        self.iter().map(|it| Override { until: NEVER, ..it.clone() }).collect()
    }

    /// The target of one of them that somebody names: in full, or by its bare name where only one has it.
    pub fn named(&self, text: &str) -> Result<Target, Refusal> {
        Target::overridden(text, self.0.keys())
    }

    /// All of them, by target.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.0.values().map(|it| &**it)
    }

    /// When the next of them ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().map(|it| it.until).filter(|until| *until > now && *until < NEVER).min()
    }
}

impl FromIterator<Override> for Overrides {
    fn from_iter<T: IntoIterator<Item = Override>>(all: T) -> Self {
        Self(all.into_iter().map(|it| (it.target.clone(), Arc::new(it))).collect())
    }
}
