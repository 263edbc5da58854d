//! Histories of services under each policy: see `src/core/routing/policy.rs`.

mod guard;
mod history;
mod inventory_guard;
mod rise;
mod shares;
mod simulate;

use std::time::Duration;

use bascule::core::routing::{Action, Exclusion, Role};

use self::history::{History, at};

#[test]
fn priority_moves_at_once_and_returns_after_the_failback_time() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 30s}}");
    history.check(&[
        (0, "????", "AAss"),
        (1, "uuuu", "AAss"),
        (2, "duuu", "dAss"),
        (3, "dduu", "ddAA"),
        // Back, and held until it has been up for the time.
        (10, "uduu", "hdAA"),
        (39, "uduu", "hdAA"),
        (40, "uduu", "Adss"),
        // A break begins the time anew.
        (50, "dduu", "ddAA"),
        (60, "uduu", "hdAA"),
        (70, "dduu", "ddAA"),
        (80, "uuuu", "hhAA"),
        (109, "uuuu", "hhAA"),
        (110, "uuuu", "AAss"),
    ]);
}

#[test]
fn priority_does_not_wait_for_failback_where_the_next_tier_fails() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 1h}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (2, "uuuu", "hhAA"), (3, "uudd", "AAdd")]);
    // With nothing left, all are tried, and what comes back first serves.
    history.check(&[(4, "dddd", "LLLL"), (5, "dddu", "dddA"), (6, "uddu", "hddA")]);
}

#[test]
fn priority_counts_what_a_tier_needs() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], min_healthy: 2, failback: {after: 10s}}");
    history.check(&[
        (0, "uuuu", "AAss"),
        (1, "uduu", "fdAA"),
        // The second of two is what brings a tier back, so its time counts.
        (5, "uuuu", "hhAA"),
        (14, "uuuu", "hhAA"),
        (15, "uuuu", "AAss"),
        // No tier has enough: the first with any serves.
        (20, "udud", "Adsd"),
        (21, "ddud", "ddAd"),
    ]);
}

#[test]
fn priority_by_hand_waits_for_the_hand_and_survives_a_restart() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {manual: true}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (2, "uuuu", "hhAA"), (86_400, "uuuu", "hhAA")]);
    history.restart();
    history.check(&[(86_401, "uuuu", "hhAA")]);
    // The operator's word is that the choice is forgotten.
    history.restart();
    history.remembered.clear();
    history.check(&[(86_402, "uuuu", "AAss")]);
}

#[test]
fn a_restart_begins_no_failback_anew() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 30s}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (10, "uuuu", "hhAA")]);
    history.restart();
    history.check(&[(20, "uuuu", "hhAA"), (40, "uuuu", "AAss")]);
}

#[test]
fn single_has_one_at_a_time() {
    let mut history = History::of("{policy: single, sites: [dijon, thory], confirm: 10s}");
    history.check(&[
        (0, "????", "Asss"),
        (1, "uuuu", "Asss"),
        // Down, and not yet for long enough.
        (2, "duuu", "Lsss"),
        (11, "duuu", "Lsss"),
        (12, "duuu", "dAss"),
        // What recovered waits for the operator.
        (20, "uuuu", "sAss"),
        (9_000, "uuuu", "sAss"),
        // Nobody is up: it stays.
        (9_001, "dddd", "dLdd"),
        (9_100, "dddd", "dLdd"),
        (9_101, "ddd?", "dLds"),
        (9_102, "dddu", "dddA"),
    ]);
    history.restart();
    history.check(&[(9_200, "uuuu", "sssA")]);
}

#[test]
fn single_returns_by_itself_where_it_may() {
    let mut history = History::of("{policy: single, sites: [dijon, thory], confirm: 10s, failback: {after: 60s}}");
    history.check(&[
        (0, "uuuu", "Asss"),
        (1, "dduu", "Ldss"),
        (11, "dduu", "ddAs"),
        (20, "uduu", "sdAs"),
        (79, "uduu", "sdAs"),
        (80, "uduu", "Adss"),
    ]);
}

#[test]
fn single_never_has_two() {
    // Every pair of verdict patterns, a few seconds apart.
    let patterns: Vec<String> = (0..81_usize)
        .map(|number| (0..4).map(|digit| ['u', 'd', '?'][number / 3_usize.pow(digit) % 3]).collect())
        .collect();
    for first in &patterns {
        for second in &patterns {
            let mut history = History::of("{policy: single, confirm: 5s, failback: {after: 3s}}");
            for (time, letters) in [(0, first), (2, second), (5, second), (8, first), (20, second)] {
                let roles = history.roles(time, letters);
                let serving = roles.chars().filter(|role| "AL".contains(*role)).count();
                assert_eq!(serving, 1, "{first} {second} at {time} s: {roles}");
            }
        }
    }
}

#[test]
fn spread_holds_back_what_recovers_where_it_is_told_to() {
    let mut history = History::of("{failback: {after: 10s}}");
    history.check(&[
        (0, "uuuu", "AAAA"),
        (1, "duuu", "dAAA"),
        (5, "uuuu", "rAAA"),
        (14, "uuuu", "rAAA"),
        (15, "uuuu", "AAAA"),
        // Where nothing else is there, nothing is held.
        (20, "dddd", "LLLL"),
        (21, "uddd", "Addd"),
    ]);
    let mut at_once = History::of("{policy: spread}");
    at_once.check(&[(0, "uuuu", "AAAA"), (1, "dddd", "LLLL"), (2, "uddd", "Addd"), (3, "uuud", "AAAd")]);
}

#[test]
fn what_flaps_is_held_while_another_is_up() {
    let mut history = History::of("{policy: spread}");
    history.check(&[(0, "uuuu", "AAAA")]);
    history.flap("d1", 40);
    let plan = history.plan(41, "duuu");
    assert_eq!(plan.next_at, None, "what is down is not waited for");
    let plan = history.plan(42, "uuuu");
    let member = plan.effective.services.values().next().and_then(|service| service.member(&"d1".parse().expect("d1")));
    let Some(Role::Out(why @ Exclusion::Flapping { until })) = member.map(|member| member.role) else {
        panic!("{member:?}")
    };
    assert_eq!((plan.next_at, until > at(170), until < at(240)), (Some(until), true, true));
    assert_eq!(why.to_string(), format!("flapping, held until {}", until.time_of_day()));
    history.check(&[(43, "uddu", "pddA"), (44, "u??u", "pAAA")]);
    // Nobody else is known to be up: it serves. Then another is, and it is held again.
    history.check(&[(45, "uddd", "Addd"), (46, "ud?d", "AdAd"), (47, "dddd", "LLLL"), (48, "uudd", "pAdd")]);
    history.restart();
    history.check(&[(100, "uuuu", "pAAA"), (240, "uuuu", "AAAA")]);
    // Two that flap: with nothing steady both serve.
    history.flap("d1", 300);
    history.flap("d2", 300);
    history.check(&[(301, "uudd", "AAdd"), (302, "uuud", "ppAd")]);
    history.decide("backend:d1", Action::Up, 303, 10);
    history.check(&[(303, "uuud", "ApAd"), (304, "uudd", "Apdd")]);
}

#[test]
fn what_flaps_does_not_make_a_tier() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 1s}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA")]);
    history.flap("d1", 40);
    history.check(&[(41, "uduu", "pdAA"), (42, "uudu", "phdA"), (43, "uudu", "pAds"), (240, "uudu", "AAds")]);
}

#[test]
fn the_only_one_of_a_service_is_not_moved_for_flapping_and_none_is_chosen_that_flaps() {
    let mut history = History::of("{policy: single, sites: [dijon, thory], confirm: 10s}");
    history.check(&[(0, "uuuu", "Asss")]);
    history.flap("d1", 40);
    history.flap("d2", 40);
    history.check(&[(41, "uuuu", "Apss"), (42, "duuu", "Lpss"), (52, "duuu", "dpAs"), (53, "uuuu", "ppAs")]);
    history.check(&[(60, "uudd", "ssLd"), (70, "uudd", "Asdd")]);
}

#[test]
fn operators_come_before_probes_and_only_for_a_while() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 1ms}}");
    history.check(&[(0, "uuuu", "AAss")]);
    history.decide("site:dijon", Action::Drain, 1, 10);
    history.check(&[(1, "uuuu", "ooAA")]);
    history.decide("backend:d2", Action::Up, 2, 5);
    history.check(&[(2, "uduu", "oAss"), (6, "uduu", "oAss"), (7, "uduu", "ooAA"), (11, "uduu", "Adss")]);
    history.decide("backend:t1", Action::Down, 12, 100);
    let plan = history.plan(12, "uduu");
    assert_eq!(plan.next_at, Some(at(112)), "the plan tells when the override ends");
}

#[test]
fn a_plan_tells_when_time_alone_will_change_it() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], failback: {after: 30s}}");
    assert_eq!(history.plan(0, "uuuu").next_at, None);
    assert_eq!(history.plan(1, "dduu").next_at, None);
    assert_eq!(history.plan(10, "uduu").next_at, Some(at(40)));
    let mut single = History::of("{policy: single, confirm: 10s}");
    single.plan(0, "uuuu");
    assert_eq!(single.plan(3, "duuu").next_at, Some(at(3).plus(Duration::from_secs(10))));
}
