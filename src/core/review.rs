//! What a change of the inventory does to traffic, and to what survives the loss of a site: for whoever reviews it.

mod checksum;
mod comment;
mod escape;
mod live;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::checksum::checksum;
pub use self::comment::{Comment, Proposal, comment};
pub use self::live::{Standing, review_live};
pub use self::report::{json, markdown, text};
use crate::core::caddy::{Pool, diff, render};
use crate::core::inventory::{Desired, Edge};
use crate::core::model::{Digest, EdgeName, ServiceName, SiteName};
use crate::core::routing::{Inputs, Plan, Target, edge_differences, plan};
use crate::core::simulate::{Outcome, ServiceForecast, Share, simulate};

/// How one inventory differs from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The services that differ, by name.
    pub services: Vec<ServiceReview>,
    /// The edges whose configuration differs: each is pushed to.
    pub pushes: Vec<EdgeName>,
    /// The edges whose own settings differ, and which of these.
    pub edges: Vec<(EdgeName, Vec<String>)>,
    /// The edges that are no longer declared, under any name: they keep what they run.
    pub left: Vec<EdgeName>,
    /// How things stand that it was made against; none where every backend counts as up.
    pub live: Option<Standing>,
    /// Checksum of what would change.
    pub checksum: Digest,
}

/// How one service differs.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceReview {
    /// Which one.
    pub service: ServiceName,
    /// Whether it comes, goes, or changes.
    pub kind: Kind,
    /// Backends with their shares of its requests before: while all are up, or as things stand.
    pub before: Vec<Share>,
    /// And after.
    pub after: Vec<Share>,
    /// And later, where time alone changes them once more: a failback is waited for, or a slow start.
    pub later: Option<Vec<Share>>,
    /// What differs, in words.
    pub details: Vec<String>,
    /// Sites whose loss it survives no longer.
    pub exposed: Vec<SiteName>,
    /// True where no single loss may take it down.
    pub is_critical: bool,
}

/// Whether a service comes, goes, or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is there before and after.
    Changed,
    /// It is gone.
    Removed,
}

impl Review {
    /// True where nothing differs that an edge or a client would notice.
    pub fn is_empty(&self) -> bool {
        let Self { services, pushes, edges, left, live: _, checksum: _ } = self;
        services.is_empty() && pushes.is_empty() && edges.is_empty() && left.is_empty()
    }

    /// How many services are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.services.iter().filter(|it| it.kind == kind).count()
    }
}

/// Compares two inventories, as if every backend were up.
pub fn review(before: &Desired, after: &Desired) -> Review {
    let old = plan(&Inputs::declared(before));
    let new = plan(&Inputs { previous: Some(&old.effective), ..Inputs::declared(after) });
    let shares = |desired: &Desired| {
        let whole = simulate(desired, &[Vec::new()]).pop().map(|forecast| forecast.services).unwrap_or_default();
        whole.into_iter().map(|it| (it.service, it.shares)).collect::<BTreeMap<_, _>>()
    };
    let (before_shares, after_shares) = (shares(before), shares(after));
    let later = [before_shares.clone(), after_shares.clone()];
    compare((before, &old), (after, &new), &Sides { before: before_shares, after: after_shares, later })
}

/// Shares of the requests of every service.
struct Sides {
    before: BTreeMap<ServiceName, Vec<Share>>,
    after: BTreeMap<ServiceName, Vec<Share>>,
    /// Of both, once time has done what it does.
    later: [BTreeMap<ServiceName, Vec<Share>>; 2],
}

fn compare(before: (&Desired, &Plan), after: (&Desired, &Plan), sides: &Sides) -> Review {
    let ((before, old), (after, new)) = (before, after);
    let (old_fates, new_fates) = (Fates::of(before), Fates::of(after));
    let mut details: BTreeMap<ServiceName, Vec<String>> = BTreeMap::new();
    for change in &new.changes {
        details.entry(change.service.clone()).or_default().push(change.detail.to_string());
    }
    let names: BTreeSet<&ServiceName> = before.services.keys().chain(after.services.keys()).collect();
    let service = |name: &ServiceName| {
        let kind = match (before.services.contains_key(name), after.services.contains_key(name)) {
            (false, _) => Kind::Added,
            (true, true) => Kind::Changed,
            (true, false) => Kind::Removed,
        };
        let of = |shares: &BTreeMap<ServiceName, Vec<Share>>| shares.get(name).cloned().unwrap_or_default();
        let (share_before, share_after) = (of(&sides.before), of(&sides.after));
        let [later_before, later_after] = sides.later.each_ref().map(of);
        let review = ServiceReview {
            service: name.clone(),
            kind,
            details: if kind == Kind::Changed { details.get(name).cloned().unwrap_or_default() } else { Vec::new() },
            exposed: if kind == Kind::Changed { new_fates.exposed(&old_fates, name) } else { Vec::new() },
            is_critical: after.services.get(name).or(before.services.get(name)).is_some_and(|it| it.critical),
            later: (later_after != share_after).then(|| later_after.clone()),
            before: share_before,
            after: share_after,
        };
        let is_same = kind == Kind::Changed
            && review.details.is_empty()
            && review.exposed.is_empty()
            && review.before == review.after
            && later_before == later_after;
        (!is_same).then_some(review)
    };
    let services = names.into_iter().filter_map(service).collect();
    let pushes: Vec<_> = after.edges.keys().filter_map(|edge| push((before, old), (after, new), edge)).collect();
    let edges = after.edges.iter().filter_map(|(name, edge)| {
        let differences = edge_differences(before.edges.get(name)?, edge);
        (!differences.is_empty()).then(|| (name.clone(), differences))
    });
    let is_left = |edge: &&Arc<Edge>| {
        !after.edges.contains_key(&edge.name) && !after.edges.values().any(|other| other.admin == edge.admin)
    };
    let mut review = Review {
        services,
        pushes: pushes.iter().map(|(edge, _)| edge.clone()).collect(),
        edges: edges.collect(),
        left: before.edges.values().filter(is_left).map(|edge| edge.name.clone()).collect(),
        live: None,
        checksum: Digest::of(b""),
    };
    review.checksum = checksum(&review, [(before, &old.effective), (after, &new.effective)], &pushes);
    review
}

/// An edge that is new, is reached elsewhere, or runs something else, with what differs.
fn push(before: (&Desired, &Plan), after: (&Desired, &Plan), edge: &EdgeName) -> Option<(EdgeName, Vec<String>)> {
    let rendered = |(desired, plan): (&Desired, &Plan)| {
        let edge = desired.edges.get(edge)?;
        Some((edge.admin.clone(), render(&plan.effective, edge, &Pool::strict())))
    };
    let (old, new) = (rendered(before), rendered(after)?);
    let changes = match &old {
        Some((admin, old)) if *admin == new.0 && old.digest == new.1.digest => return None,
        Some((admin, old)) if *admin == new.0 => diff(&old.config(), &new.1.config()),
        Some(_) | None => diff(&serde_json::Value::Null, &new.1.config()),
    };
    let admin = format!("admin {}", new.0);
    Some((edge.clone(), std::iter::once(admin).chain(changes.iter().map(ToString::to_string)).collect()))
}

/// What becomes of the services of an inventory with each site lost, while all else is up.
struct Fates {
    sites: BTreeMap<SiteName, BTreeMap<ServiceName, Outcome>>,
}

impl Fates {
    fn of(desired: &Desired) -> Self {
        let sites: Vec<&SiteName> = desired.sites.keys().collect();
        let losses: Vec<Vec<Target>> = sites.iter().map(|site| vec![Target::Site((*site).clone())]).collect();
        let forecasts = simulate(desired, &losses).into_iter();
        let outcomes =
            |services: Vec<ServiceForecast>| services.into_iter().map(|it| (it.service, it.outcome)).collect();
        Self { sites: sites.into_iter().cloned().zip(forecasts.map(|forecast| outcomes(forecast.services))).collect() }
    }

    /// The sites whose loss a service does not survive here, and did before.
    fn exposed(&self, before: &Self, service: &ServiceName) -> Vec<SiteName> {
        let is_down = |outcomes: &BTreeMap<ServiceName, Outcome>| outcomes.get(service) == Some(&Outcome::Down);
        let is_new = |site: &SiteName| !before.sites.get(site).is_some_and(is_down);
        self.sites.iter().filter(|(site, fates)| is_down(fates) && is_new(site)).map(|(site, _)| site.clone()).collect()
    }
}
