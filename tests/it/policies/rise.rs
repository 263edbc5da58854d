//! Traffic that comes back in steps: `slow_start` of backends and `failback.ramp` of tiers.

use bascule::core::inventory::Edge;
use bascule::core::routing::{Action, Detail, Effective, Plan, Rise};
use serde_json::Value;

use super::history::{History, at};
use crate::support::inventory::render;

/// The places of `d1 d2 t1 t2` in the first link that is rendered.
fn places(history: &History, plan: &Plan) -> [usize; 4] {
    let edge = history.desired.edges.values().next().expect("an edge");
    places_of(&plan.effective, edge, ["127.1.0.1:80", "127.1.0.2:80", "127.2.0.3:80", "127.2.0.4:80"])
}

/// The places of some upstreams in the first link that is rendered.
pub(super) fn places_of<const N: usize>(effective: &Effective, edge: &Edge, dials: [&str; N]) -> [usize; N] {
    fn first(value: &Value) -> Option<&Vec<Value>> {
        let own = value.get("upstreams").and_then(Value::as_array);
        let children: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            // The first link is what a `subroute` has; what follows it is under `errors`, and what that shares with other
            // services under `named_routes`.
            Value::Object(entries) => {
                let follows = |key: &str| matches!(key, "errors" | "named_routes");
                entries.iter().filter(|(key, _)| !follows(key)).map(|(_, it)| it).collect()
            }
            _ => Vec::new(),
        };
        own.or_else(|| children.into_iter().find_map(first))
    }
    let config = render(effective, edge).config();
    let upstreams = first(&config["apps"]["http"]["servers"]).expect("a link");
    dials.map(|dial| upstreams.iter().filter(|upstream| upstream["dial"] == dial).count())
}

#[test]
fn shares_are_places_in_the_first_link() {
    let mut history = History::of("{slow_start: 30s}");
    history.plan(0, "uuuu");
    history.plan(1, "duuu");
    for (second, expected) in [(5, [1, 4, 4, 4]), (15, [1, 2, 2, 2]), (25, [3, 4, 4, 4]), (35, [1; 4])] {
        let plan = history.plan(second, "uuuu");
        assert_eq!(places(&history, &plan), expected, "at {second} s");
    }
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 10s, ramp: 30s}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (10, "uuuu", "hhAA")]);
    for (second, letters, expected) in [
        (20, "uuuu", [1, 1, 3, 3]),
        (30, "uuuu", [1; 4]),
        // One of the preferred is lost: the other has the whole part of its tier.
        (31, "uduu", [2, 0, 1, 1]),
        (40, "uduu", [6, 0, 1, 1]),
        (50, "uduu", [1, 0, 0, 0]),
    ] {
        let plan = history.plan(second, letters);
        assert_eq!(places(&history, &plan), expected, "at {second} s");
    }
}

/// Shares of `d1 d2 t1 t2` in percent, and of the tier that traffic returns to.
fn shares(plan: &Plan) -> ([u8; 4], Option<u8>) {
    let service = plan.effective.services.values().next().expect("a service");
    let share = |name: &str| {
        let member = service.member(&name.parse().expect("a name")).expect("a member");
        member.rise.map_or(100, Rise::percent)
    };
    (["d1", "d2", "t1", "t2"].map(share), service.ramp.map(|ramp| ramp.rise.percent()))
}

#[test]
fn what_was_down_comes_back_in_four_steps() {
    let mut history = History::of("{slow_start: 30s}");
    for (second, letters, expected, next) in [
        (0, "????", [100; 4], None),
        (1, "uuuu", [100; 4], None),
        (2, "duuu", [100; 4], None),
        (5, "uuuu", [25, 100, 100, 100], Some(15)),
        (14, "uuuu", [25, 100, 100, 100], Some(15)),
        (15, "uuuu", [50, 100, 100, 100], Some(25)),
        // Another one shares the steps of what came back within the same five seconds.
        (16, "uduu", [50, 100, 100, 100], Some(25)),
        (19, "uuuu", [50, 25, 100, 100], Some(25)),
        (25, "uuuu", [75, 25, 100, 100], Some(30)),
        (35, "uuuu", [100, 50, 100, 100], Some(40)),
        // A break begins it anew.
        (36, "uduu", [100; 4], None),
        (41, "uuuu", [100, 25, 100, 100], Some(55)),
    ] {
        let plan = history.plan(second, letters);
        assert_eq!((shares(&plan).0, plan.next_at), (expected, next.map(at)), "at {second} s");
    }
    // A restart knows nothing of it, nor does an operator's word wait for it.
    history.restart();
    assert_eq!(shares(&history.plan(42, "uuuu")).0, [100; 4]);
    history.plan(43, "uudu");
    history.decide("backend:t1", Action::Up, 44, 100);
    assert_eq!(shares(&history.plan(44, "uudu")).0, [100; 4]);
}

#[test]
fn steps_are_told() {
    let mut history = History::of("{slow_start: 30s}");
    history.plan(0, "uuuu");
    history.plan(1, "duuu");
    let said = |plan: &Plan| plan.changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let back = said(&history.plan(5, "uuuu"));
    assert_eq!(back[1..], ["service www: d1 has 25 % of its share"], "{back:?}");
    assert_eq!(said(&history.plan(14, "uuuu")), Vec::<String>::new());
    assert_eq!(said(&history.plan(15, "uuuu")), ["service www: d1 has 50 % of its share"]);
    assert_eq!(said(&history.plan(90, "uuuu")), ["service www: d1 has 100 % of its share"]);
}

#[test]
fn what_serves_for_want_of_others_has_its_whole_share() {
    let mut history = History::of("{slow_start: 30s, guard: {min_healthy: 2}}");
    history.plan(0, "uuuu");
    assert_eq!(shares(&history.plan(1, "uddd")).0, [100; 4], "one is held");
    assert_eq!(shares(&history.plan(2, "uudd")).0, [100; 4], "it was never out");
    history.plan(3, "dddd");
    assert_eq!(shares(&history.plan(4, "uddd")).0, [100; 4], "it was tried all the while");
}

#[test]
fn traffic_moves_back_to_a_tier_in_four_steps() {
    let mut history =
        History::of("{policy: priority, sites: [dijon, thory], failback: {after: 10s, ramp: 30s}, slow_start: 30s}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (10, "uuuu", "hhAA"), (19, "uuuu", "hhAA")]);
    for (second, share, next) in
        [(20, Some(25), Some(30)), (29, Some(25), Some(30)), (30, Some(50), Some(40)), (40, Some(75), Some(50))]
    {
        assert_eq!(history.roles(second, "uuuu"), "AAAA", "both tiers serve at {second} s");
        let plan = history.plan(second, "uuuu");
        assert_eq!((shares(&plan), plan.next_at), (([100; 4], share), next.map(at)), "at {second} s");
    }
    let plan = history.plan(50, "uuuu");
    assert_eq!((shares(&plan), plan.next_at), (([100; 4], None), None));
    assert!(plan.changes.iter().any(|change| change.detail == Detail::Returning(100)), "{:?}", plan.changes);
    history.check(&[(50, "uuuu", "AAss")]);
}

#[test]
fn a_tier_that_fails_on_the_way_is_left_at_once() {
    let of = || {
        let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 10s, ramp: 30s}}");
        history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (10, "uuuu", "hhAA"), (20, "uuuu", "AAAA")]);
        history
    };
    let mut preferred = of();
    preferred.check(&[(25, "dduu", "ddAA"), (26, "uuuu", "hhAA"), (36, "uuuu", "AAAA")]);
    assert_eq!(shares(&preferred.plan(36, "uuuu")).1, Some(25), "it begins anew");
    let mut other = of();
    other.check(&[(25, "uudd", "AAdd"), (26, "uuuu", "AAss")]);
    let mut some = of();
    some.check(&[(25, "uduu", "AdAA"), (31, "uuud", "AAAd")]);
    assert_eq!(shares(&some.plan(31, "uuud")).1, Some(50));
    // A restart, and an operator's word, end it: all goes to what is preferred.
    let mut restarted = of();
    restarted.restart();
    restarted.check(&[(25, "uuuu", "AAss")]);
}
