use std::fmt;

use super::{Field, Refusal};
use crate::core::inventory::{Desired, closest};
use crate::core::model::{BackendName, SiteName, text_type};

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

    /// True while the inventory has it.
    pub fn is_declared(&self, desired: &Desired) -> bool {
        match self {
            Self::Backend(name) => desired.backends.contains_key(name),
            Self::Site(name) => desired.sites.contains_key(name),
        }
    }

    /// The target that somebody names: in full, or by its bare name where only one has it.
    pub fn named(text: &str, desired: &Desired) -> Result<Self, Refusal> {
        let backends = desired.backends.keys().map(|name| Self::Backend(name.clone()));
        let sites = desired.sites.keys().map(|name| Self::Site(name.clone()));
        among(text, &backends.chain(sites).collect::<Vec<_>>()).map_err(|unmatched| {
            let message = match unmatched {
                Unmatched::Ambiguous => ambiguous(text),
                Unmatched::Unknown(Some(close)) => {
                    format!("the inventory has no backend and no site `{text}`; did you mean `{close}`?")
                }
                Unmatched::Unknown(None) => {
                    let backend = desired.backends.keys().next().map(|name| format!("`backend:{name}`"));
                    let site = desired.sites.keys().next().map(|name| format!("`site:{name}`"));
                    let examples: Vec<_> = backend.into_iter().chain(site).collect();
                    let cure = match &examples[..] {
                        [] => "it has none at all".to_owned(),
                        examples => format!("name one that it has, such as {}", examples.join(" or ")),
                    };
                    format!("the inventory has no backend and no site `{text}`; {cure}")
                }
            };
            Refusal::of(Field::Target, message)
        })
    }

    /// The target of one of the overrides that there are, which the inventory need not have any more.
    pub(super) fn overridden<'a>(text: &str, targets: impl Iterator<Item = &'a Self>) -> Result<Self, Refusal> {
        let targets: Vec<_> = targets.cloned().collect();
        among(text, &targets).map_err(|unmatched| match unmatched {
            Unmatched::Ambiguous => Refusal::of(Field::Target, ambiguous(text)),
            Unmatched::Unknown(_) if targets.is_empty() => {
                Refusal::unknown(format!("`{text}` is not overridden; nothing is"))
            }
            Unmatched::Unknown(Some(close)) => {
                Refusal::unknown(format!("`{text}` is not overridden; did you mean `{close}`?"))
            }
            Unmatched::Unknown(None) => {
                let all: Vec<_> = targets.iter().map(|target| format!("`{target}`")).collect();
                Refusal::unknown(format!("`{text}` is not overridden; what is: {}", all.join(", ")))
            }
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Backend(name) => name.as_str(),
            Self::Site(name) => name.as_str(),
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

/// Why a text names none of some targets.
enum Unmatched {
    /// It is the bare name of a backend and of a site.
    Ambiguous,
    /// It names none; perhaps this one was meant.
    Unknown(Option<String>),
}

fn ambiguous(name: &str) -> String {
    format!("`{name}` is a backend and a site; give `backend:{name}` or `site:{name}`")
}

fn among(text: &str, targets: &[Target]) -> Result<Target, Unmatched> {
    let is_meant = |target: &&Target| target.name() == text || target.to_string() == text;
    let mut meant = targets.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(target), None) => Ok(target.clone()),
        (Some(_), Some(_)) => Err(Unmatched::Ambiguous),
        (None, _) => {
            // Who wrote a kind is told a name with its kind, and who wrote none is told one without.
            let name = |target: &Target| if text.contains(':') { target.to_string() } else { target.name().to_owned() };
            let names: Vec<_> = targets.iter().map(name).collect();
            Err(Unmatched::Unknown(closest(text, names.iter().map(String::as_str)).map(str::to_owned)))
        }
    }
}
