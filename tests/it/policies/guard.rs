//! What a service's `guard` holds in rotation: see `src/core/routing/guard.rs`.

use bascule::core::caddy::relay;
use bascule::core::routing::{Action, Detail, Guard, Hold, Role, Serving};

use super::history::{History, at};

#[test]
fn what_went_down_last_is_held() {
    let mut history = History::of("{guard: {min_healthy: 2}}");
    history.check(&[
        (0, "uuuu", "AAAA"),
        (1, "duuu", "dAAA"),
        (2, "dduu", "ddAA"),
        (3, "dddu", "ddGA"),
        // It stays held however long that lasts, and whatever else goes down.
        (90_000, "dddu", "ddGA"),
        // All are down: that is for `when_all_down`.
        (90_001, "dddd", "LLLL"),
        (90_002, "uddd", "AddG"),
        // One more is up: what is down is out.
        (90_003, "uudd", "AAdd"),
        (90_004, "uuuu", "AAAA"),
    ]);
}

#[test]
fn a_share_is_rounded_up_and_counts_what_takes_traffic() {
    let mut history = History::of("{guard: {min_healthy: 51%}}");
    history.check(&[(0, "uuuu", "AAAA"), (1, "duuu", "dAAA"), (2, "dduu", "dGAA"), (3, "dddu", "dGGA")]);
    let mut all = History::of("{guard: {min_healthy: 100%}}");
    all.check(&[(0, "uuuu", "AAAA"), (1, "duuu", "GAAA"), (2, "dddu", "GGGA")]);
}

#[test]
fn what_is_unknown_is_in() {
    let mut history = History::of("{guard: {min_healthy: 2}}");
    history.check(&[(0, "????", "AAAA"), (1, "dd??", "ddAA"), (2, "ddd?", "ddGA")]);
}

#[test]
fn an_operators_word_is_never_held_and_nothing_is_held_for_it() {
    let mut history = History::of("{guard: {min_healthy: 2}}");
    history.check(&[(0, "uuuu", "AAAA"), (1, "dduu", "ddAA"), (3, "dddu", "ddGA")]);
    history.decide("backend:t1", Action::Down, 4, 100);
    history.check(&[(4, "dddu", "ddoA"), (10, "dddd", "LLoL"), (11, "dddu", "ddoA")]);
    history.decide("backend:d1", Action::Up, 12, 10);
    // Three are in or taken out by hand: the guard has what it asks for.
    history.check(&[(12, "dddu", "AdoA"), (22, "dddu", "ddoA"), (104, "dddu", "ddGA")]);
    history.decide("backend:t2", Action::Drain, 105, 10);
    history.check(&[(105, "uudd", "AAdo"), (106, "uddd", "Addo")]);
}

#[test]
fn a_hold_comes_before_the_choice_of_a_tier() {
    let mut history = History::of("{policy: priority, sites: [dijon, thory], guard: {min_healthy: 3}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "duuu", "dAss"), (2, "dduu", "dGss"), (3, "dddu", "dGss")]);
    history.check(&[(4, "dddd", "LLLL"), (5, "uddd", "Adss"), (6, "uduu", "Adss")]);
    // A guard that lets a site go does not keep traffic there.
    let mut history = History::of("{policy: priority, sites: [dijon, thory], guard: {min_healthy: 2}}");
    history.check(&[(0, "uuuu", "AAss"), (1, "dduu", "ddAA"), (2, "dddu", "ddGA"), (3, "uddu", "hddA")]);
}

#[test]
fn what_flaps_is_held_before_what_is_down() {
    let mut history = History::of("{guard: {min_healthy: 2}}");
    history.check(&[(0, "uuuu", "AAAA")]);
    history.flap("d1", 40);
    history.check(&[(41, "uuuu", "pAAA"), (42, "uudd", "GAdd"), (43, "uuuu", "pAAA"), (300, "uuuu", "AAAA")]);
}

#[test]
fn what_is_on_trial_serves_before_what_is_down() {
    let mut history = History::of("{failback: {after: 10s}, guard: {min_healthy: 2}}");
    history.check(&[(0, "uuuu", "AAAA"), (1, "duuu", "dAAA"), (5, "uuuu", "rAAA"), (6, "uddu", "AddA")]);
    history.check(&[(7, "dddu", "GddA"), (8, "uddu", "AddA")]);
}

#[test]
fn with_a_page_some_are_tried_before_it() {
    let mut history = History::of("{guard: {min_healthy: 50%}, when_all_down: page}");
    history.check(&[(0, "uuuu", "AAAA"), (1, "uddu", "AddA"), (2, "dddd", "GddG")]);
}

#[test]
fn a_hold_is_told_and_answered_as_what_it_is() {
    let mut history = History::of("{guard: {min_healthy: 2}}");
    history.plan(0, "uuuu");
    history.plan(1, "dduu");
    let plan = history.plan(2, "dddu");
    let name = |text: &str| text.parse::<bascule::core::model::BackendName>().expect("a name");
    let kept = Detail::Kept(name("t1"), Role::InRotation, Role::Guarded(Guard::Service));
    assert_eq!(plan.changes.iter().map(|change| &change.detail).collect::<Vec<_>>(), [&kept]);
    let said = "service www: t1 is down and stays in rotation, held by its service's guard";
    assert_eq!(plan.changes[0].to_string(), said);
    let service = "www".parse().expect("a name");
    assert_eq!(plan.holds, [Hold::Guarded { service, backends: vec![name("t1")], needed: 2 }]);
    assert!(plan.holds[0].to_string().starts_with("service www: t1 is down and held in rotation"), "{}", plan.holds[0]);
    assert!(plan.holds[0].to_string().contains("`bascule override down t1`"), "{}", plan.holds[0]);
    let effective = &plan.effective.services.values().next().expect("a service");
    assert_eq!(effective.serving, Serving::Degraded);
    let member = effective.member(&name("t1")).expect("a member");
    assert_eq!(member.reason(at(2)).as_deref(), Some("down, held in rotation by its service's guard"));
    let answers = ["127.1.0.2:80", "127.2.0.3:80", "127.2.0.4:80"]
        .map(|upstream| relay::answer(&plan.effective, "www", upstream).expect("it is planned"));
    assert_eq!(answers, [false, true, true], "d2 is out, t1 is held, t2 is up");
}

/// Every history of two steps: observation never takes out more than it may, and never less than what is down but for that.
#[test]
fn never_fewer_than_asked_for_and_never_more_holds_than_needed() {
    let patterns: Vec<String> = (0..16_usize)
        .map(|number| (0..4).map(|bit| if number >> bit & 1 == 0 { 'u' } else { 'd' }).collect())
        .collect();
    for need in 1..=4_usize {
        for first in &patterns {
            for second in &patterns {
                let mut history = History::of(&format!("{{guard: {{min_healthy: {need}}}}}"));
                for (time, letters) in [(0, "uuuu"), (5, first), (9, second), (300, second)] {
                    let roles = history.roles(time, letters);
                    let count = |of: &str| roles.chars().filter(|role| of.contains(*role)).count();
                    let up = letters.chars().filter(|letter| *letter == 'u').count();
                    let expected = if up == 0 { (0, 0, 4) } else { (up, need.saturating_sub(up), 0) };
                    assert_eq!((count("A"), count("G"), count("L")), expected, "{need} of {letters}: {roles}");
                }
            }
        }
    }
}
