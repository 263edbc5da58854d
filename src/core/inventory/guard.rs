//! The guard on revisions: one that takes out much at once is held until somebody says that it is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Backend, BackendState, Desired, Service};
use crate::core::model::{Hostname, PathPrefix, Revision, SiteName};

/// The trailer of a commit message that lets a revision take out much.
const TRAILER: &str = "Bascule-Allow";
/// What it allows, before the number.
const REMOVE: &str = "remove=";
/// A site of fewer backends is no more than these backends.
const SITE_MIN: usize = 2;

/// How much a revision may take out without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionGuard {
    /// Percent of the services, and of the backends. More needs consent.
    pub share: u8,
    /// Fewer than this never need it, whatever their share.
    pub at_least: usize,
}

impl Default for RevisionGuard {
    fn default() -> Self {
        Self { share: 30, at_least: 3 }
    }
}

impl RevisionGuard {
    /// Why a revision is held; none where it may be served.
    ///
    /// `consent` is what the commits since the served one allow; none for a source without commits, where nobody could
    /// consent: there, only what takes out everything is held.
    pub fn judge(&self, served: &Desired, next: &Desired, consent: Option<Consent>) -> Option<Held> {
        let loss = Loss::between(served, next);
        let is_held = match consent {
            None => loss.is_everything(),
            Some(Consent { remove }) => loss.is_beyond(*self) && remove.is_none_or(|allowed| allowed < loss.count()),
        };
        is_held.then(|| Held { revision: next.revision.clone(), loss, consent, share: self.share })
    }
}

/// What commit messages allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consent {
    /// How many services, backends and edges may be taken out; none where no message says so.
    pub remove: Option<usize>,
}

impl Consent {
    /// Reads the `Bascule-Allow: remove=N` trailers of messages: those in the last paragraph, as `git commit --trailer`
    /// writes them. The largest number counts.
    pub fn of<'m>(messages: impl IntoIterator<Item = &'m str>) -> Self {
        Self { remove: messages.into_iter().flat_map(trailers).max() }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { remove: self.remove.max(other.remove) }
    }
}

fn trailers(message: &str) -> impl Iterator<Item = usize> {
    let lines = message.trim_end().lines().rev().take_while(|line| !line.trim_end().is_empty());
    lines.filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        let number = value.trim().strip_prefix(REMOVE)?;
        if key.eq_ignore_ascii_case(TRAILER) { number.parse().ok() } else { None }
    })
}

/// What a revision takes out beside the one that is served: what it no longer declares, and backends that it declares
/// without traffic (`state: drain` or `disabled`). What has another name and is the same otherwise is not taken out: a
/// backend by its service and address, a service by its domains and paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    services: Share,
    backends: Share,
    edges: Share,
    /// Sites that had several active backends and have none.
    sites: Vec<SiteName>,
}

impl Loss {
    /// Compares what is served with what comes next.
    pub fn between(served: &Desired, next: &Desired) -> Self {
        let names: BTreeSet<_> = active(next).map(|backend| &backend.name).collect();
        let places: BTreeSet<_> = active(next).map(place).collect();
        let is_lost = |backend: &&Backend| !names.contains(&backend.name) && !places.contains(&place(backend));
        let lost = active(served).filter(is_lost).count();
        let backends = Share { lost, of: active(served).count(), left: active(next).count() };

        let lost = lost_services(served, next).len();
        let services = Share { lost, of: served.services.len(), left: next.services.len() };

        let lost = served.edges.keys().filter(|edge| !next.edges.contains_key(*edge)).count();
        let edges = Share { lost, of: served.edges.len(), left: next.edges.len() };

        let mut emptied: BTreeMap<&SiteName, usize> = BTreeMap::new();
        for backend in active(served) {
            *emptied.entry(&backend.site).or_default() += 1;
        }
        emptied.retain(|_, backends| *backends >= SITE_MIN);
        for backend in active(next).chain(active(served).filter(|backend| places.contains(&place(backend)))) {
            emptied.remove(&backend.site);
        }
        let sites = emptied.into_keys().cloned().collect();
        Self { services, backends, edges, sites }
    }

    /// How many services, backends and edges are taken out.
    pub const fn count(&self) -> usize {
        self.services.lost + self.backends.lost + self.edges.lost
    }

    /// What is taken out, in words: `3 of 6 services, all of site dijon`.
    pub fn words(&self) -> String {
        let lost = [(self.services, "services"), (self.backends, "backends"), (self.edges, "edges")];
        let lost = lost.into_iter().filter(|(share, _)| share.lost > 0);
        let mut parts: Vec<_> = lost.map(|(Share { lost, of, .. }, what)| format!("{lost} of {of} {what}")).collect();
        parts.extend(self.sites.iter().map(|site| format!("all of site {site}")));
        parts.join(", ")
    }

    /// The trailer of a commit that allows this.
    pub fn trailer(&self) -> String {
        format!("{TRAILER}: {REMOVE}{}", self.count())
    }

    /// True where it is more than a revision may take out without a word.
    pub fn is_beyond(&self, guard: RevisionGuard) -> bool {
        self.is_everything()
            || !self.sites.is_empty()
            || [self.services, self.backends].iter().any(|share| share.is_beyond(guard))
    }

    fn is_everything(&self) -> bool {
        [self.services, self.backends, self.edges].iter().any(Share::is_everything)
    }
}

/// So many lost of so many, and so many there are then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    lost: usize,
    of: usize,
    left: usize,
}

impl Share {
    const fn is_everything(&self) -> bool {
        self.lost > 0 && self.left == 0
    }

    const fn is_beyond(&self, guard: RevisionGuard) -> bool {
        self.lost >= guard.at_least && self.lost * 100 > self.of * guard.share as usize
    }
}

/// The services that the next inventory has under no name.
pub(in crate::core) fn lost_services<'s>(served: &'s Desired, next: &Desired) -> Vec<&'s Service> {
    let served_routes: BTreeSet<_> = next.services.values().flat_map(|service| routes(service)).collect();
    let is_lost = |service: &&Service| {
        !next.services.contains_key(&service.name) && routes(service).any(|route| !served_routes.contains(&route))
    };
    served.services.values().map(AsRef::as_ref).filter(is_lost).collect()
}

fn active(desired: &Desired) -> impl Iterator<Item = &Backend> {
    desired.backends.values().map(AsRef::as_ref).filter(|backend| backend.state == BackendState::Active)
}

fn place(backend: &Backend) -> (&str, std::net::SocketAddr) {
    (backend.service.as_str(), backend.upstream())
}

fn routes(service: &Service) -> impl Iterator<Item = (&Hostname, &PathPrefix)> {
    service.domains.iter().flat_map(|domain| service.paths.iter().map(move |path| (domain, path)))
}

/// Why a revision is held, and how to let it pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    revision: Revision,
    loss: Loss,
    consent: Option<Consent>,
    share: u8,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, loss, consent, share } = self;
        write!(f, "it takes out {}, and ", loss.words())?;
        let Some(Consent { remove }) = consent else {
            return write!(f, "nothing would be left; if that is meant: {}", by_hand(revision));
        };
        write!(f, "more than {share} %, a whole site, or everything at once is held; ")?;
        let count = loss.count();
        if let Some(allowed) = remove {
            write!(f, "{TRAILER} allows {allowed}, and these are {count}; ")?;
        }
        write!(f, "if that is meant: git commit --allow-empty -m 'Allow it' --trailer '{}'", loss.trailer())?;
        write!(f, ", or {}", by_hand(revision))
    }
}

/// What an operator of the running controller types.
fn by_hand(revision: &Revision) -> String {
    format!("bascule allow {} --reason '…'", revision.short())
}
