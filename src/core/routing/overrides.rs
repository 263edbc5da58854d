use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::inventory::Backend;
use crate::core::model::{BackendName, SiteName, TextError, Timestamp, text_type};

/// An operator's temporary decision about a backend or a site. It ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What it is about.
    pub target: Target,
    /// What is decided.
    pub action: Action,
    /// Why, in the operator's words.
    pub reason: String,
    /// When it was decided.
    pub set_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// What an override is about: `backend:api-dijon-1` or `site:dijon`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One backend.
    Backend(BackendName),
    /// All backends of a site.
    Site(SiteName),
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("backend", name) => name.parse().ok().map(Self::Backend),
            ("site", name) => name.parse().ok().map(Self::Site),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(name) => write!(f, "backend:{name}"),
            Self::Site(name) => write!(f, "site:{name}"),
        }
    }
}

text_type!(
    Target,
    name: "Target",
    expected: "a target such as `backend:api-dijon-1` or `site:dijon`",
    pattern: "^(backend|site):[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    examples: ["backend:api-dijon-1", "site:dijon"]
);

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
pub struct Overrides(BTreeMap<Target, Override>);

impl Overrides {
    /// None.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Those of a list that have not ended.
    pub fn in_force(all: impl IntoIterator<Item = Override>, now: Timestamp) -> Self {
        let in_force = all.into_iter().filter(|it| it.until > now);
        Self(in_force.map(|it| (it.target.clone(), it)).collect())
    }

    /// The one that holds for a backend: its own, before its site's.
    pub fn of(&self, backend: &Backend, now: Timestamp) -> Option<&Override> {
        if self.0.is_empty() {
            return None;
        }
        let get = |target: &Target| self.0.get(target).filter(|it| it.until > now);
        get(&Target::Backend(backend.name.clone())).or_else(|| get(&Target::Site(backend.site.clone())))
    }

    /// All of them, by target.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.0.values()
    }

    /// When the next of them ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().map(|it| it.until).filter(|until| *until > now).min()
    }
}
