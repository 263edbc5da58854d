use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::core::health::Verdict;
use crate::core::model::{SiteName, Timestamp};

/// Something that happened to a layer as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To what.
    pub subject: Subject,
    /// How it stood before.
    pub from: Verdict,
    /// How it stands since.
    pub to: Verdict,
    /// Why, in words.
    pub cause: String,
    /// How many backends went with it; 0 where it says nothing of them.
    pub backends: u32,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A site: all of its backends together.
    Site(SiteName),
    /// The tunnel to a site.
    Tunnel(SiteName),
    /// The prober's own network.
    Prober,
    /// The forge that is told how commits stand.
    Forge,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(site) => write!(f, "site:{site}"),
            Self::Tunnel(site) => write!(f, "tunnel:{site}"),
            Self::Prober => f.write_str("prober"),
            Self::Forge => f.write_str("forge"),
        }
    }
}

/// A text that names no layer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` names no layer: `site:NAME`, `tunnel:NAME`, `prober` and `forge` do")]
pub struct SubjectError(pub String);

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || SubjectError(text.to_owned());
        match text.split_once(':') {
            None if text == "prober" => Ok(Self::Prober),
            None if text == "forge" => Ok(Self::Forge),
            Some(("site", name)) => name.parse().map(Self::Site).map_err(|_| refused()),
            Some(("tunnel", name)) => name.parse().map(Self::Tunnel).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_back() {
        for text in ["site:dijon", "tunnel:thory", "prober", "forge"] {
            assert_eq!(text.parse::<Subject>().expect("a subject").to_string(), text);
        }
        for text in ["dijon", "site:", "edge:ovh", "prober:x"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
