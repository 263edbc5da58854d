//! What the guard of the inventory holds: see `src/core/routing/guard/inventory.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bascule::core::health::{
    BackendHealth, Failure, Observed, Outcome, Sample, Thresholds, Told, Vantage, Verdict, step,
};
use bascule::core::inventory::Desired;
use bascule::core::model::{BackendName, FileSet, Generation, Timestamp};
use bascule::core::routing::{Action, Guard, Hold, Inputs, InventoryGuard, Override, Overrides, Plan, Role, plan};
use proptest::prelude::*;

use crate::support::inventory::{PLAIN_EDGE, desired_of};

const SITES: [&str; 3] = ["dijon", "thory", "vienne"];
/// One pass or failure decides.
const THRESHOLDS: Thresholds = Thresholds { rise: 1, fall: 1, stale_after: Duration::from_hours(1000) };

/// Where nothing is up, nothing is tried for want of something better: what serves is up or held.
const PAGE: &str = "{when_all_down: page}";

/// Ten services with a backend at each of a few sites: `d0` to `d9`, `t0`, `v0`, and what has been seen of them.
struct World {
    desired: Desired,
    health: BTreeMap<BackendName, BackendHealth>,
    overrides: Vec<Override>,
    guard: Option<InventoryGuard>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)
}

fn name(text: &str) -> BackendName {
    text.parse().expect("a name")
}

impl World {
    /// All are up since long ago.
    fn of(sites: usize, routing: &str) -> Self {
        let mut world = Self::unknown(sites, routing);
        for name in world.desired.backends.keys().cloned().collect::<Vec<_>>() {
            world.see(name.as_str(), -10_000, true);
        }
        world
    }

    /// Nothing has been seen yet.
    fn unknown(sites: usize, routing: &str) -> Self {
        let (mut places, mut services, mut backends) = (Vec::new(), Vec::new(), Vec::new());
        for (number, site) in SITES[..sites].iter().enumerate() {
            places.push(format!("{{name: {site}, subnets: [127.{}.0.0/16]}}", number + 1));
            for service in 0..10 {
                let (letter, network) = (&site[..1], number + 1);
                backends.push(format!(
                    "{{service: s{service}, name: {letter}{service}, site: {site}, addr: 127.{network}.0.{}, port: 80}}",
                    service + 1
                ));
            }
        }
        for service in 0..10 {
            services.push(format!("{{name: s{service}, domains: [s{service}.example.org], routing: {routing}}}"));
        }
        let text = |documents: &[String]| documents.join("\n---\n").into_bytes();
        let files: FileSet = [
            ("sites/all.yaml", text(&places)),
            ("services/all.yaml", text(&services)),
            ("backends/all.yaml", text(&backends)),
            ("edges/all.yaml", PLAIN_EDGE.as_bytes().to_vec()),
        ]
        .into_iter()
        .collect();
        let guard = Some(InventoryGuard::default());
        Self { desired: desired_of(&files), health: BTreeMap::new(), overrides: Vec::new(), guard }
    }

    /// Takes a sample, as the observer does.
    fn see(&mut self, backend: &str, second: i64, pass: bool) {
        let sample = Sample {
            backend: name(backend),
            vantage: Vantage::Controller,
            at: at(second),
            latency: Duration::ZERO,
            outcome: if pass { Outcome::Pass } else { Outcome::Fail(Failure::Status(404)) },
            told: Told::default(),
        };
        step(self.health.entry(name(backend)).or_default(), &sample, THRESHOLDS);
    }

    /// A site's backends go down, one each so many seconds.
    fn lose(&mut self, site: &str, numbers: impl Iterator<Item = usize>, (from, pace): (i64, i64)) {
        for (step, number) in (0..).zip(numbers) {
            self.see(&format!("{}{number}", &site[..1]), from + step * pace, false);
        }
    }

    fn plan(&self, second: i64) -> Plan {
        let observed =
            Observed { generation: Generation(1), revision: None, isolated_since: None, backends: self.health.clone() };
        let overrides = Overrides::in_force(self.overrides.clone(), at(second));
        let declared = Inputs::declared(&self.desired);
        let inputs =
            Inputs { observed: &observed, overrides: &overrides, guard: self.guard, now: at(second), ..declared };
        plan(&inputs)
    }

    /// Those that are held, with their letters in order.
    fn held(&self, second: i64) -> String {
        let plan = self.plan(second);
        let members = plan.effective.services.values().flat_map(|service| &service.members);
        let held = members.filter(|member| member.role == Role::Guarded(Guard::Inventory));
        let names: BTreeSet<_> = held.map(|member| member.backend.name.to_string()).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn a_site_that_is_cut_is_never_held() {
    for sites in 1..=3 {
        for pace in [0, 1, 7] {
            let mut world = World::of(sites, PAGE);
            world.lose("dijon", 0..10, (0, pace));
            assert_eq!(world.held(100), "", "{sites} sites, one backend each {pace} s");
        }
    }
    // Nor where some are down elsewhere, from the same minute or from before.
    let mut world = World::of(3, PAGE);
    world.lose("thory", 0..5, (-500, 0));
    world.lose("vienne", 0..7, (0, 1));
    world.lose("dijon", 0..10, (3, 1));
    assert_eq!(world.held(100), "");
}

#[test]
fn two_of_three_sites_may_go_and_the_third_not_as_a_whole() {
    let mut world = World::of(3, PAGE);
    world.lose("dijon", 0..10, (0, 0));
    world.lose("thory", 0..10, (20, 0));
    assert_eq!(world.held(100), "");
    world.lose("vienne", 0..9, (40, 0));
    assert_eq!(world.held(100), "v0 v1 v2 v3 v4 v5 v6 v7 v8");
    // A minute later it is another event.
    let mut later = World::of(3, PAGE);
    later.lose("dijon", 0..10, (0, 0));
    later.lose("thory", 0..10, (20, 0));
    later.lose("vienne", 0..9, (80, 0));
    assert_eq!(later.held(200), "");
}

#[test]
fn what_fails_everywhere_at_once_is_held() {
    let mut world = World::of(2, PAGE);
    for number in 0..10 {
        world.see(&format!("d{number}"), number, false);
        world.see(&format!("t{number}"), number, false);
    }
    // All of one site could be a cut; of the other, half may go beside it.
    assert_eq!(world.held(10), "t5 t6 t7 t8 t9");
    let plan = world.plan(10);
    let backends = ["t5", "t6", "t7", "t8", "t9"].map(name).to_vec();
    assert_eq!(plan.holds, [Hold::InventoryGuarded { backends }]);
    let said = plan.holds[0].to_string();
    assert!(said.starts_with("guard: so many backends went down at once"), "{said}");
    assert!(said.contains("of them 5 stay in rotation: t5, t6, t7 and 2 more"), "{said}");
    // No hold ends by itself.
    assert_eq!(world.held(1_000_000), "t5 t6 t7 t8 t9");
    // What is up again is up, and makes no room for others: they went down when they did.
    world.see("t7", 500, true);
    assert_eq!(world.held(1_000_000), "t5 t6 t8 t9");
    // A repaired check brings all back.
    for number in 0..10 {
        world.see(&format!("d{number}"), 600, true);
        world.see(&format!("t{number}"), 600, true);
    }
    assert_eq!((world.held(700), world.plan(700).holds), (String::new(), Vec::new()));
}

#[test]
fn where_all_of_a_service_are_down_all_are_tried_and_nothing_is_held() {
    let mut world = World::of(2, "{}");
    for number in 0..10 {
        world.see(&format!("d{number}"), number, false);
        world.see(&format!("t{number}"), number, false);
    }
    let plan = world.plan(10);
    assert!(plan.effective.services.values().all(|service| service.in_rotation().count() == 2), "{plan:?}");
    assert_eq!(plan.holds.len(), 10, "{:?}", plan.holds);
}

#[test]
fn one_beside_a_lost_site_is_believed_however_little_is_allowed() {
    let mut world = World::of(2, PAGE);
    world.guard = Some(InventoryGuard { percent: 1, ..InventoryGuard::default() });
    world.lose("dijon", 0..10, (0, 0));
    world.see("t9", 1, false);
    assert_eq!(world.held(10), "");
    world.see("t8", 2, false);
    assert_eq!(world.held(10), "t8");
}

#[test]
fn an_operator_takes_out_what_is_held() {
    let mut world = World::of(3, PAGE);
    world.lose("dijon", 0..10, (0, 0));
    world.lose("thory", 0..10, (20, 0));
    world.lose("vienne", 0..2, (40, 0));
    assert_eq!(world.held(100), "v0 v1");
    let target = "backend:v0".parse().expect("a target");
    let (by, reason) = (String::new(), "it is dead".to_owned());
    world.overrides.push(Override { target, action: Action::Down, reason, by, set_at: at(90), until: at(1000) });
    assert_eq!(world.held(100), "v1");
    assert_eq!(world.held(1001), "v0 v1");
    // A site that an operator takes out as well goes on to count: his word lets no other one go.
    let target = "site:dijon".parse().expect("a target");
    let (by, reason) = (String::new(), "it is cut".to_owned());
    world.overrides.push(Override { target, action: Action::Down, reason, by, set_at: at(90), until: at(5000) });
    assert_eq!(world.held(1001), "v0 v1");
    world.guard = None;
    assert_eq!(world.held(1001), "");
}

#[test]
fn what_was_never_up_is_not_lost() {
    let mut world = World::unknown(3, PAGE);
    for (number, letter) in (0..9).flat_map(|number| ["d", "t", "v"].map(|letter| (number, letter))) {
        world.see(&format!("{letter}{number}"), 0, false);
    }
    assert_eq!(world.held(10), "", "an inventory that is new and half of it wrong");
}

proptest! {
    /// Whatever goes down whenever: nothing is held that is up, and a hold has a cause: with it, no site explains what went
    /// out in the window before.
    #[test]
    fn a_hold_has_a_cause_and_what_goes_out_has_a_bound(
        losses in prop::collection::vec((0usize..3, 0usize..10, 0i64..150), 0..40),
        percent in 1u32..100,
    ) {
        // In the order of time, as they are seen.
        let mut losses = losses;
        losses.sort_by_key(|(_, _, second)| *second);
        let mut world = World::of(3, PAGE);
        let guard = InventoryGuard { percent, window: Duration::from_mins(1) };
        world.guard = Some(guard);
        for (site, number, second) in &losses {
            world.see(&format!("{}{number}", &SITES[*site][..1]), *second, false);
        }
        let plan = world.plan(1000);
        let members = || plan.effective.services.values().flat_map(|service| &service.members);
        for member in members() {
            let is_down = member.verdict == Verdict::Down;
            let is_held = matches!(member.role, Role::Guarded(_));
            prop_assert!(is_down || !is_held, "{member:?}");
        }
        let since = |backend: &BackendName| world.health[backend].since.expect("it is known");
        let out: Vec<_> = members().filter(|member| !member.role.gets_traffic()).collect();
        for last in &out {
            let end = since(&last.backend.name);
            let went = |member: &&&bascule::core::routing::Member| {
                let at = since(&member.backend.name);
                at <= end && end < at.plus(guard.window)
            };
            let gone_before = out.iter().filter(|member| since(&member.backend.name).plus(guard.window) <= end);
            let gone_before: Vec<_> = gone_before.map(|member| member.backend.site.as_str()).collect();
            let is_bounded = SITES.iter().any(|best| {
                let others = out.iter().filter(went).filter(|member| member.backend.site.as_str() != *best).count();
                let up = 20 - gone_before.iter().filter(|site| *site != best).count();
                others <= (up * percent as usize / 100).max(1)
            });
            prop_assert!(is_bounded, "{} is out", last.backend.name);
        }
        if losses.iter().all(|(site, _, _)| *site == losses[0].0) {
            prop_assert!(members().all(|member| !matches!(member.role, Role::Guarded(_))));
        }
    }
}
