use std::fmt;
use std::str::FromStr;

use crate::core::inventory::Tier;
use crate::core::model::{BackendName, TextError};

/// What a plan chose for a service and the next plans must know: without it a restart would bring traffic back to a tier
/// that is still on trial, or move a service that must not run twice.
///
/// Kept in the state file as text: `site:dijon`, `tag:ssd`, `backend:api-dijon-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// The tier that serves.
    Tier(Tier),
    /// The one backend that serves.
    Backend(BackendName),
}

impl Choice {
    /// The choice in words: `site dijon`.
    pub fn words(&self) -> String {
        match self {
            Self::Tier(tier) => tier.to_string(),
            Self::Backend(backend) => format!("backend {backend}"),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tier(Tier::Site(site)) => write!(f, "site:{site}"),
            Self::Tier(Tier::Tag(tag)) => write!(f, "tag:{tag}"),
            Self::Backend(backend) => write!(f, "backend:{backend}"),
        }
    }
}

impl FromStr for Choice {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "a choice such as `site:dijon`, `tag:ssd` or `backend:api-dijon-1`";
        let refused = || TextError { text: text.to_owned(), expected };
        match text.split_once(':').ok_or_else(refused)? {
            ("site", name) => Ok(Self::Tier(Tier::Site(name.parse()?))),
            ("tag", name) => Ok(Self::Tier(Tier::Tag(name.parse()?))),
            ("backend", name) => Ok(Self::Backend(name.parse()?)),
            _ => Err(refused()),
        }
    }
}
