use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::health::{BackendHealth, Verdict};
use crate::core::inventory::{Backend, Policy};
use crate::core::model::{BackendName, SiteName, Timestamp};
use crate::core::routing::{Action, Inputs, Role, effective};

/// How much observation may take out of the whole inventory at once.
///
/// A site that is cut is what failover is for, so the site that loses most does not count: it may go out as a whole, at
/// once, for any reason. What else goes out within the same window may be a share of what was up at all other sites, or
/// one backend. What goes beyond that is no cut of a site: more likely it is a fault of what is asked, such as a health
/// check that was rolled out everywhere and is wrong; and to believe it would end most services at once.
///
/// What went out first is out, what came later is held in rotation, until it is up again or an operator takes it out. It is
/// decided by the moments in which backends went down, not by the moment of the plan: no hold ends by itself after the
/// window, and after a restart the same ones are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InventoryGuard {
    /// How many of a hundred backends may go out within the window, at all sites but the one that loses most.
    pub percent: u32,
    /// The window.
    pub window: Duration,
}

impl Default for InventoryGuard {
    /// Half within a minute. Two of three sites that are cut one right after the other are still believed. A minute is
    /// longer than most probes need to find what a bad roll-out broke (three failures, five seconds apart), and shorter
    /// than the time between two steps of a roll-out that somebody watches.
    fn default() -> Self {
        Self { percent: 50, window: Duration::from_mins(1) }
    }
}

/// A backend that has been up and is down now.
struct Loss<'a> {
    at: Timestamp,
    backend: &'a Backend,
    /// An operator took it out as well: it is out, and goes on to count.
    is_confirmed: bool,
}

/// The backends that are down and stay in rotation, since too many others went down shortly before.
pub(in crate::core::routing) fn held(inputs: &Inputs<'_>) -> BTreeSet<BackendName> {
    let mut held = BTreeSet::new();
    let Some(guard) = inputs.guard else { return held };
    let mut losses: Vec<Loss<'_>> = losses(inputs);
    losses.sort_by(|a, b| (a.at, &a.backend.name).cmp(&(b.at, &b.backend.name)));
    if losses.len() < 2 {
        return held;
    }
    let mut sites = up_by_site(inputs);
    let mut recent: VecDeque<&Loss<'_>> = VecDeque::new();
    for loss in &losses {
        while let Some(old) = recent.front().filter(|old| old.at.plus(guard.window) <= loss.at) {
            if let Some(site) = sites.get_mut(&old.backend.site) {
                site.lost -= 1;
                site.up -= 1;
            }
            recent.pop_front();
        }
        let Some(site) = sites.get_mut(&loss.backend.site) else { continue };
        site.lost += 1;
        if loss.is_confirmed || guard.allows(&sites) {
            recent.push_back(loss);
        } else {
            held.insert(loss.backend.name.clone());
            if let Some(site) = sites.get_mut(&loss.backend.site) {
                site.lost -= 1;
            }
        }
    }
    held
}

/// What a site had at the beginning of a window, and what went out in it.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    up: usize,
    lost: usize,
}

impl InventoryGuard {
    /// True where what was lost is one site's loss, and beside it no more than may be.
    fn allows(self, sites: &BTreeMap<&SiteName, Standing>) -> bool {
        let sum = |count: fn(&Standing) -> usize| sites.values().map(count).sum::<usize>();
        let (up, lost) = (sum(|site| site.up), sum(|site| site.lost));
        let is_explained_by = |site: &Standing| {
            let allowed = (up - site.up).saturating_mul(self.percent as usize) / 100;
            lost - site.lost <= allowed.max(1)
        };
        sites.values().filter(|site| site.lost > 0).any(is_explained_by)
    }
}

/// What probes took out that was up before, of all services but those that have one backend at a time.
fn losses<'a>(inputs: &Inputs<'a>) -> Vec<Loss<'a>> {
    let loss = |backend: &'a Backend| {
        let at = lost_at(inputs.observed.backends.get(&backend.name)?, inputs.now)?;
        let action = inputs.overrides.of(backend, inputs.now).map(|it| it.action);
        let is_forced = action == Some(Action::Up);
        (!is_forced && counts(inputs, backend)).then_some(Loss { at, backend, is_confirmed: action.is_some() })
    };
    inputs.desired.backends.values().filter_map(|backend| loss(backend)).collect()
}

/// When observation took out a backend that was up before; none where it did not.
fn lost_at(health: &BackendHealth, now: Timestamp) -> Option<Timestamp> {
    let flapping = || health.flap.at.filter(|_| health.verdict != Verdict::Down && health.flap.hold(now).is_some());
    health.lost_at().or_else(flapping)
}

/// Backends of each site that have not been lost, or have been up before they were.
fn up_by_site<'a>(inputs: &Inputs<'a>) -> BTreeMap<&'a SiteName, Standing> {
    let mut sites: BTreeMap<&SiteName, Standing> = BTreeMap::new();
    for backend in inputs.desired.backends.values() {
        let health = inputs.observed.backends.get(&backend.name);
        let was_never_up = health.is_some_and(|it| it.verdict == Verdict::Down && it.lost_at().is_none());
        if !was_never_up && counts(inputs, backend) {
            sites.entry(&backend.site).or_default().up += 1;
        }
    }
    sites
}

/// True for a backend that the inventory lets take traffic, of a service that a hold would serve.
fn counts(inputs: &Inputs<'_>, backend: &Backend) -> bool {
    let Some(service) = inputs.desired.services.get(&backend.service) else { return false };
    let is_single = matches!(service.routing.policy, Policy::Single { .. });
    !is_single && !matches!(effective::role(inputs, service, backend), Role::Out(why) if why.is_declared())
}
