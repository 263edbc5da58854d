use std::fmt;
use std::time::Duration;

use super::Backend;
use crate::core::inventory::doc::{Minimum, Sticky};
use crate::core::model::{SiteName, Tag};

/// How the backends of a service are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// Which of them get traffic.
    pub policy: Policy,
    /// When traffic returns to what has recovered.
    pub failback: Failback,
    /// Time over which traffic moves back to a tier; none: at once.
    pub ramp: Option<Duration>,
    /// Time over which a backend that was down comes back to its share; none: at once.
    pub slow_start: Option<Duration>,
    /// What keeps a client at one backend.
    pub sticky: Option<Sticky>,
    /// Backends that observation may not take out; none: it may take out all.
    pub guard: Option<Minimum>,
    /// What happens when none is up.
    pub when_all_down: WhenAllDown,
    /// The answer in place of the service: when all are down (if that is the policy), and in maintenance.
    pub page: Page,
}

/// Which backends of a service get traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// All that are not down share it by weight.
    Spread,
    /// The first tier with enough backends gets all of it, by weight inside the tier.
    Priority {
        /// Tiers in the order of preference, at least one. Every active backend belongs to one.
        tiers: Vec<Tier>,
        /// Backends that must not be down for a tier to serve; at least 1.
        min_healthy: u32,
    },
    /// Exactly one backend at a time.
    Single {
        /// Tiers in the order of preference; empty: the order of names.
        tiers: Vec<Tier>,
        /// Time that the chosen backend must have been down before another takes over.
        confirm: Duration,
    },
}

impl Policy {
    /// The tier that a backend belongs to, from 0; the first that it is of. Without tiers everything is in the first.
    pub fn tier_of(&self, backend: &Backend) -> usize {
        let tiers = match self {
            Self::Spread => &[][..],
            Self::Priority { tiers, .. } | Self::Single { tiers, .. } => tiers,
        };
        tiers.iter().position(|tier| tier.has(backend)).unwrap_or(tiers.len().saturating_sub(1))
    }
}

/// A preference group of backends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The backends at a site.
    Site(SiteName),
    /// The backends with a tag.
    Tag(Tag),
}

impl Tier {
    /// True for a backend that belongs to it.
    pub fn has(&self, backend: &Backend) -> bool {
        match self {
            Self::Site(site) => backend.site == *site,
            Self::Tag(tag) => backend.tags.contains(tag),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(site) => write!(f, "site {site}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

/// When traffic returns to what has recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failback {
    /// Once it has been up for so long without a break.
    After(Duration),
    /// When an operator says so.
    Manual,
}

/// What happens when no backend of a service is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAllDown {
    /// All are tried.
    ServeAll,
    /// Clients get the page.
    Page,
}

/// An answer for people in place of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// When clients may ask again.
    pub retry_after: Duration,
    /// The page; none: a short sentence.
    pub html: Option<String>,
}
