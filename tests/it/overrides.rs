//! See `src/core/routing/overrides.rs`, `outlook.rs` and `failback.rs`.

mod failback;
mod orders;

use std::time::Duration;

use bascule::core::health::{Observed, Verdict};
use bascule::core::inventory::Desired;
use bascule::core::model::Timestamp;
use bascule::core::routing::{self, Action, Effective, Inputs, Override, Overrides, Plan, Serving, Target, outlook};
use bascule::core::status::{self, Paint, StatusDto, text, view};

use crate::support::inventory::{PLAIN_EDGE, Texts, desired, observed};
use crate::support::view::nothing_known;

/// 2023-11-14, 22:13:20.
const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// Two backends at each of two sites, of a service with this routing.
fn four(routing: &str) -> Desired {
    let backend = |name: &str, site: &str, addr: &str| {
        format!("{{service: api, name: {name}, site: {site}, addr: {addr}, port: 80}}\n---\n")
    };
    desired(Texts {
        edges: PLAIN_EDGE,
        services: &format!("{{name: api, domains: [api.acecinema.fr], health: {{type: tcp}}, routing: {{{routing}}}}}"),
        backends: &[
            backend("d1", "dijon", "127.1.0.1"),
            backend("d2", "dijon", "127.1.0.2"),
            backend("t1", "thory", "127.2.0.1"),
            backend("t2", "thory", "127.2.0.2"),
        ]
        .concat(),
    })
}

/// Verdicts of d1, d2, t1, t2 by their letters, all for a day.
fn verdicts(desired: &Desired, letters: &str) -> Observed {
    verdicts_since(desired, letters, Timestamp::from_unix_millis(NOW.unix_millis() - 86_400_000))
}

fn verdicts_since(desired: &Desired, letters: &str, since: Timestamp) -> Observed {
    let names = ["d1", "d2", "t1", "t2"];
    let letter = |name: &str| letters.as_bytes()[names.iter().position(|it| *it == name).expect("one of four")];
    let mut observed = observed(desired, |name| match letter(name) {
        b'u' => Verdict::Up,
        b'd' => Verdict::Down,
        _ => Verdict::Unknown,
    });
    observed.backends.values_mut().for_each(|health| health.since = Some(since));
    observed
}

fn decided(target: &str, action: Action, until: Timestamp) -> Override {
    let (reason, by) = ("disk swap".to_owned(), "anna".to_owned());
    Override { target: target.parse().expect("a target"), action, reason, by, set_at: NOW, until }
}

fn hour(target: &str, action: Action) -> Override {
    decided(target, action, later(3600))
}

fn plan(desired: &Desired, observed: &Observed, overrides: &Overrides, (previous, now): At<'_>) -> Plan {
    let inputs = Inputs { observed, overrides, previous, now, ..Inputs::declared(desired) };
    routing::plan(&inputs)
}

type At<'a> = (Option<&'a Effective>, Timestamp);

/// Names with traffic, in order.
fn rotation(effective: &Effective) -> String {
    let service = effective.services.values().next().expect("a service");
    service.in_rotation().map(|backend| backend.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(routing: &str, letters: &str, overrides: &[(&str, Action)], expected: &str) {
    let desired = four(routing);
    let overrides: Overrides = overrides.iter().map(|(target, action)| hour(target, *action)).collect();
    let plan = plan(&desired, &verdicts(&desired, letters), &overrides, (None, NOW));
    assert_eq!(rotation(&plan.effective), expected, "{routing} {letters} {overrides:?}");
}

#[test]
fn operators_come_before_probes() {
    use Action::{Down, Drain, Up};
    check("", "uuuu", &[], "d1 d2 t1 t2");
    check("", "uuuu", &[("backend:d1", Down)], "d2 t1 t2");
    check("", "uuuu", &[("backend:d1", Drain)], "d2 t1 t2");
    check("", "duuu", &[("backend:d1", Up)], "d1 d2 t1 t2");
    // A site is all its backends, and a backend's own override comes before it.
    check("", "uuuu", &[("site:dijon", Drain)], "t1 t2");
    check("", "uuuu", &[("site:dijon", Down), ("backend:d2", Up)], "d2 t1 t2");
    check("", "dduu", &[("site:dijon", Up), ("backend:d2", Drain)], "d1 t1 t2");
    // What an operator takes out is no last resort, and what the inventory takes out comes first.
    check("", "dddd", &[("site:dijon", Down)], "t1 t2");
    check("", "uuuu", &[("site:dijon", Down), ("site:thory", Drain)], "");
    check("", "dddd", &[("backend:d1", Up)], "d1");
    // Nothing of this inventory.
    check("", "uuuu", &[("backend:gone", Down), ("site:gone", Down)], "d1 d2 t1 t2");
    // Tiers.
    let tiers = "policy: priority, sites: [dijon, thory]";
    check(tiers, "uuuu", &[("site:dijon", Drain)], "t1 t2");
    check(tiers, "dduu", &[("backend:d2", Up)], "d2");
    check(tiers, "uuuu", &[("backend:d1", Down)], "d2");
    // One at a time.
    let single = "policy: single, sites: [dijon, thory]";
    check(single, "uuuu", &[("backend:d1", Drain)], "d2");
    check(single, "dduu", &[("backend:d2", Up)], "d2");
    check(single, "uuuu", &[("site:dijon", Down)], "t1");
}

#[test]
fn one_at_a_time_moves_at_once_by_an_operators_word_and_stays() {
    let desired = four("policy: single, sites: [dijon, thory]");
    let observed = verdicts(&desired, "uuuu");
    let none = Overrides::new();
    let first = plan(&desired, &observed, &none, (None, NOW));
    let overrides: Overrides = [hour("backend:d1", Action::Down)].into_iter().collect();
    let moved = plan(&desired, &observed, &overrides, (Some(&first.effective), NOW));
    let after = plan(&desired, &observed, &none, (Some(&moved.effective), later(10)));
    assert_eq!([&first, &moved, &after].map(|plan| rotation(&plan.effective)), ["d1", "d2", "d2"]);
}

/// Held up by an operator is not on trial; without one it would be for a minute.
#[test]
fn what_is_held_up_serves_at_once() {
    let desired = four("failback: { after: 60s }");
    let none = Overrides::new();
    let down = plan(&desired, &verdicts(&desired, "duuu"), &none, (None, NOW));
    let up: Overrides = [hour("backend:d1", Action::Up)].into_iter().collect();
    let held = plan(&desired, &verdicts(&desired, "duuu"), &up, (Some(&down.effective), NOW));
    assert_eq!((rotation(&down.effective), rotation(&held.effective)), ("d2 t1 t2".into(), "d1 d2 t1 t2".into()));
}

#[test]
fn overrides_end_by_themselves() {
    let desired = four("");
    let observed = verdicts(&desired, "uuuu");
    let mut overrides: Overrides =
        [decided("site:dijon", Action::Down, later(60)), decided("backend:d1", Action::Up, later(20))]
            .into_iter()
            .collect();
    let at = |second| plan(&desired, &observed, &overrides, (None, later(second)));
    for (second, serve, next_end) in
        [(0, "d1 t1 t2", Some(20)), (19, "d1 t1 t2", Some(20)), (20, "t1 t2", Some(60)), (60, "d1 d2 t1 t2", None)]
    {
        let plan = at(second);
        assert_eq!(rotation(&plan.effective), serve, "after {second} s");
        assert_eq!(plan.next_at, next_end.map(later), "after {second} s");
    }
    assert_eq!(overrides.take_ended(later(19)), []);
    let ended = overrides.take_ended(later(20));
    assert_eq!(ended.iter().map(|it| it.target.to_string()).collect::<Vec<_>>(), ["backend:d1"]);
    assert_eq!(overrides.iter().map(|it| it.target.to_string()).collect::<Vec<_>>(), ["site:dijon"]);
}

fn status_at(now: Timestamp, overrides: &Overrides) -> StatusDto {
    let desired = four("");
    let observed = verdicts(&desired, "uuud");
    let plan = plan(&desired, &observed, overrides, (None, now));
    let info = bascule::core::model::RevisionInfo {
        id: desired.revision.clone(),
        author: String::new(),
        subject: String::new(),
        committed_at: NOW,
    };
    view(&status::Inputs {
        served: Some((&info, &desired)),
        observed: &observed,
        overrides,
        plan: Some(&plan),
        ..nothing_known(now)
    })
}

#[test]
fn everybody_who_looks_sees_them() {
    let nobody = Override { by: String::new(), ..decided("site:thory", Action::Up, later(7200)) };
    let overrides: Overrides =
        [hour("backend:d1", Action::Drain), nobody, hour("site:gone", Action::Down)].into_iter().collect();
    let status = status_at(NOW, &overrides);
    let reasons: Vec<_> =
        status.services[0].backends.iter().map(|backend| backend.reason.clone().unwrap_or_default()).collect();
    let thory = "override of site thory: up, until 2023-11-15 00:13 UTC, \"disk swap\"";
    assert_eq!(reasons, ["override: drain, until 23:13 UTC, \"disk swap\" (by anna)", "", thory, thory]);
    let text = text(&status, Paint::Plain);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("override ")).collect();
    assert_eq!(
        lines,
        [
            "override backend:d1: drain, until 23:13 UTC, \"disk swap\" (by anna), 60m left",
            "override site:gone: down, until 23:13 UTC, \"disk swap\" (by anna), 60m left; not in the inventory, so it does nothing",
            "override site:thory: up, until 2023-11-15 00:13 UTC, \"disk swap\", 2h left",
        ]
    );
    let json = serde_json::to_value(&status).expect("JSON");
    assert_eq!(
        json["overrides"][1],
        serde_json::json!({
            "target": "site:gone", "action": "down", "reason": "disk swap", "by": "anna",
            "set_at": "2023-11-14T22:13:20.000Z", "until": "2023-11-14T23:13:20.000Z",
            "remaining_seconds": 3600, "declared": false,
        })
    );
    // One that has ended and is not taken out yet is not shown.
    assert_eq!(status_at(later(3600), &overrides).overrides.len(), 1);
}

#[track_caller]
fn check_outlook(letters: &str, routing: &str, given: &Override, expected: &[&str]) {
    let mut desired = four(routing);
    crate::support::inventory::set_state(&mut desired, "t2", bascule::core::inventory::BackendState::Disabled);
    let observed = verdicts(&desired, letters);
    let before = plan(&desired, &observed, &Overrides::new(), (None, NOW));
    let overrides: Overrides = [given.clone()].into_iter().collect();
    let inputs = Inputs {
        observed: &observed,
        overrides: &overrides,
        previous: Some(&before.effective),
        now: NOW,
        ..Inputs::declared(&desired)
    };
    assert_eq!(outlook(&inputs, given), expected, "{letters} {routing} {}", given.target);
}

#[test]
fn an_operator_is_told_what_comes_of_it() {
    let down = |target: &str| hour(target, Action::Down);
    check_outlook("uuuu", "", &down("backend:d1"), &[]);
    check_outlook("uuuu", "", &down("site:dijon"), &[]);
    let rest = ["service api has no backend left that is up: the rest is tried"];
    check_outlook("uudd", "", &down("site:dijon"), &rest);
    let page = ["service api has no backend left that is up: its clients get its page"];
    check_outlook("uudd", "when_all_down: page", &down("site:dijon"), &page);
    let first = ["the inventory has backend:t2 out (disabled), which comes first: the override changes nothing"];
    check_outlook("uuuu", "", &down("backend:t2"), &first);
}

#[test]
fn an_operator_is_told_when_nothing_is_left() {
    let backend = "{service: api, name: d1, site: dijon, addr: 127.1.0.1, port: 80}";
    let services = "{name: api, domains: [api.acecinema.fr], health: {type: tcp}}";
    let desired = desired(Texts { edges: PLAIN_EDGE, services, backends: backend });
    let before = plan(&desired, &Observed::new(), &Overrides::new(), (None, NOW));
    let told = |given: Override| {
        let overrides: Overrides = [given.clone()].into_iter().collect();
        let previous = Some(&before.effective);
        outlook(&Inputs { overrides: &overrides, previous, now: NOW, ..Inputs::declared(&desired) }, &given)
    };
    let nothing = ["service api has no backend left: its clients get an error"];
    assert_eq!(told(hour("site:dijon", Action::Drain)), nothing);
    assert_eq!(told(hour("site:thory", Action::Drain)), ["site:thory has no backend: the override changes nothing"]);
    assert_eq!(before.effective.services.values().next().expect("a service").serving, Serving::Full);
}

#[test]
fn targets_are_named_in_full_or_by_what_only_one_has() {
    let desired = four("");
    let named = |text: &str| Target::named(text, &desired).map(|it| it.to_string()).map_err(|refusal| refusal.message);
    for text in ["d1", "backend:d1"] {
        assert_eq!(named(text), Ok("backend:d1".to_owned()));
    }
    for text in ["dijon", "site:dijon"] {
        assert_eq!(named(text), Ok("site:dijon".to_owned()));
    }
    for (text, cure) in [
        ("dijno", "`dijno`; did you mean `dijon`?"),
        ("site:dijno", "`site:dijno`; did you mean `site:dijon`?"),
        ("edge:ovh", "name one that it has, such as `backend:"),
        ("", "name one that it has, such as `backend:"),
    ] {
        let message = named(text).expect_err("there is no such target");
        assert!(message.contains(cure), "{text}: {message}");
    }
}
