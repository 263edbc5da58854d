//! See `src/core/routing.rs`.

use bascule::core::health::{Report, Verdict};
use bascule::core::inventory::{BackendState, Desired};
use bascule::core::model::{Generation, Revision};
use bascule::core::routing::{Effective, Exclusion, Plan, Role, Serving};

use crate::support::inventory::{PLAIN_EDGE, Texts, desired, merge, observed, plan, set_state};

const DOWN: Role = Role::Out(Exclusion::Down);
const DRAIN: Role = Role::Out(Exclusion::Drain);
const DISABLED: Role = Role::Out(Exclusion::Disabled);
const WEIGHT_ZERO: Role = Role::Out(Exclusion::WeightZero);

/// One service with backends `b0`, `b1`, …, each with what its document adds.
fn www(backends: &[&str]) -> Desired {
    let document = |(number, more): (usize, &&str)| {
        let comma = if more.is_empty() { "" } else { ", " };
        format!("{{service: www, name: b{number}, site: dijon, addr: 127.1.0.{}, port: 80{comma}{more}}}", number + 1)
    };
    let backends: Vec<_> = backends.iter().enumerate().map(document).collect();
    desired(Texts {
        edges: PLAIN_EDGE,
        services: "{name: www, domains: [www.acecinema.fr], health: {type: tcp}}",
        backends: &backends.join("\n---\n"),
    })
}

/// The verdict of `b0`, `b1`, … by its letter: `u`p, `d`own, `?`.
fn verdict(letters: &str) -> impl Fn(&str) -> Verdict {
    |name| match letters.as_bytes().get(name[1..].parse::<usize>().expect("a number")) {
        Some(b'u') => Verdict::Up,
        Some(b'd') => Verdict::Down,
        Some(b'?') => Verdict::Unknown,
        other => panic!("no verdict: {other:?}"),
    }
}

#[track_caller]
fn check_merge(backends: &[&str], letters: &str, serving: Serving, roles: &[Role]) {
    let desired = www(backends);
    let effective = merge(&desired, &observed(&desired, verdict(letters)));
    let service = effective.services.values().next().expect("a service");
    let seen: Vec<_> = service.members.iter().map(|member| member.role).collect();
    assert_eq!((service.serving, seen.as_slice()), (serving, roles), "{backends:?} {letters}");
    let rotation = roles.iter().filter(|role| role.gets_traffic()).count();
    assert_eq!(service.in_rotation().count(), rotation);
    for (number, member) in service.members.iter().enumerate() {
        assert_eq!(member.verdict, verdict(letters)(&format!("b{number}")), "a role does not hide the verdict");
    }
}

#[test]
fn backends_serve_unless_something_speaks_against_it() {
    use Role::{InRotation as In, LastResort as Last};
    let (drain, disabled, zero) = ("state: drain", "state: disabled", "weight: 0");
    check_merge(&["", ""], "uu", Serving::Full, &[In, In]);
    check_merge(&["", ""], "u?", Serving::Full, &[In, In]);
    check_merge(&["", ""], "??", Serving::Full, &[In, In]);
    check_merge(&["", ""], "ud", Serving::Degraded, &[In, DOWN]);
    check_merge(&["", ""], "d?", Serving::Degraded, &[DOWN, In]);
    // All down: all are tried.
    check_merge(&["", ""], "dd", Serving::LastResort, &[Last, Last]);
    check_merge(&[""], "d", Serving::LastResort, &[Last]);
    // What its owner says of a backend comes before what probes say.
    check_merge(&["", drain], "ud", Serving::Full, &[In, DRAIN]);
    check_merge(&["", disabled], "ud", Serving::Full, &[In, DISABLED]);
    check_merge(&["", zero], "ud", Serving::Full, &[In, WEIGHT_ZERO]);
    check_merge(&["", "state: drain, weight: 0"], "uu", Serving::Full, &[In, DRAIN]);
    check_merge(&["", "state: disabled, weight: 0"], "uu", Serving::Full, &[In, DISABLED]);
    // The last resort never takes what its owner took out, up or not.
    check_merge(&["", drain, disabled, zero], "duuu", Serving::LastResort, &[Last, DRAIN, DISABLED, WEIGHT_ZERO]);
    check_merge(&["", "", drain], "ddd", Serving::LastResort, &[Last, Last, DRAIN]);
}

#[test]
fn a_service_that_its_owner_took_out_is_no_last_resort() {
    let mut desired = www(&["", ""]);
    set_state(&mut desired, "b0", BackendState::Drain);
    set_state(&mut desired, "b1", BackendState::Disabled);
    let plan = plan(&desired, &observed(&desired, verdict("dd")), None);
    let service = plan.effective.services.values().next().expect("a service");
    assert_eq!((service.serving, service.in_rotation().count()), (Serving::Nothing, 0));
    assert_eq!(plan.holds, []);
    assert_eq!(plan.changes[0].to_string(), "service www: added with 0 in rotation");
}

#[test]
fn members_stand_by_site_and_name() {
    let backend = |name: &str, site: &str, addr: &str| {
        format!("{{service: www, name: {name}, site: {site}, addr: {addr}, port: 80}}")
    };
    let backends = [
        backend("a", "thory", "127.2.0.1"),
        backend("b", "dijon", "127.1.0.1"),
        backend("c", "thory", "127.2.0.2"),
        backend("d", "dijon", "127.1.0.2"),
    ];
    let desired = desired(Texts {
        edges: PLAIN_EDGE,
        services: "{name: www, domains: [www.acecinema.fr], health: {type: tcp}}",
        backends: &backends.join("\n---\n"),
    });
    let effective = merge(&desired, &observed(&desired, |_| Verdict::Up));
    let service = effective.services.values().next().expect("a service");
    let names: Vec<_> = service.in_rotation().map(|backend| backend.name.as_str()).collect();
    assert_eq!(names, ["b", "d", "a", "c"]);
    let member = service.member(&"c".parse().expect("a name")).expect("is there");
    assert_eq!(member.backend.site.as_str(), "thory");
    assert_eq!(service.member(&"e".parse().expect("a name")), None);
}

/// An inventory with the verdicts of its backends.
type State<'s> = (&'s [&'s str], &'s str);

fn plan_of((backends, letters): State<'_>, previous: Option<&Effective>) -> Plan {
    let desired = www(backends);
    let plan = plan(&desired, &observed(&desired, verdict(letters)), previous);
    assert_eq!((&plan.revision, plan.generation), (&desired.revision, Generation(7)));
    let again = crate::support::inventory::plan(&desired, &observed(&desired, verdict(letters)), Some(&plan.effective));
    assert_eq!(again.changes, [], "planning again from the same input changes nothing");
    assert_eq!((again.effective, &again.holds), (plan.effective.clone(), &plan.holds));
    plan
}

#[track_caller]
fn check_changes(before: State<'_>, after: State<'_>, changes: &[&str], holds: &[&str]) {
    let before_plan = plan_of(before, None);
    let plan = plan_of(after, Some(&before_plan.effective));
    let shown: Vec<String> = plan.changes.iter().map(ToString::to_string).collect();
    assert_eq!(shown, changes, "{before:?} to {after:?}");
    let shown: Vec<String> = plan.holds.iter().map(ToString::to_string).collect();
    assert_eq!(shown, holds, "{before:?} to {after:?}");
}

const ALL_DOWN: &str = "service www: all 2 backends are down; all of them are tried";

#[test]
fn changes_are_said_in_words() {
    let two: &[&str] = &["", ""];
    check_changes((two, "uu"), (two, "u?"), &[], &[]);
    check_changes((two, "uu"), (two, "ud"), &["service www: b1 (127.1.0.2:80) leaves rotation: down"], &[]);
    check_changes((two, "ud"), (two, "uu"), &["service www: b1 (127.1.0.2:80) enters rotation"], &[]);
    check_changes(
        (two, "ud"),
        (two, "dd"),
        &[
            "service www: b0 is down and stays in rotation, as all are",
            "service www: b1 (127.1.0.2:80) enters rotation",
        ],
        &[ALL_DOWN],
    );
    check_changes(
        (two, "dd"),
        (two, "ud"),
        &["service www: b0 is no longer a last resort", "service www: b1 (127.1.0.2:80) leaves rotation: down"],
        &[],
    );
    check_changes(
        (two, "uu"),
        (&["", "state: drain"], "uu"),
        &["service www: b1 (127.1.0.2:80) leaves rotation: draining"],
        &[],
    );
    check_changes((two, "uu"), (&["weight: 3", ""], "uu"), &["service www: weight of b0 from 1 to 3"], &[]);
    check_changes(
        (&["", "weight: 2"], "uu"),
        (&["", "weight: 0"], "uu"),
        &["service www: b1 (127.1.0.2:80) leaves rotation: weight is 0"],
        &[],
    );
    check_changes((two, "uu"), (&[""], "u"), &["service www: b1 (127.1.0.2:80) leaves rotation: removed"], &[]);
    check_changes((&[""], "u"), (two, "uu"), &["service www: b1 (127.1.0.2:80) enters rotation"], &[]);
    // Out before and after: nothing that is served differs.
    check_changes((&["", "state: drain"], "uu"), (&["", "state: disabled"], "uu"), &[], &[]);
    check_changes((&["", "state: drain"], "uu"), (&[""], "u"), &[], &[]);
}

fn of_services(services: &str, backends: &str) -> Desired {
    desired(Texts { edges: PLAIN_EDGE, services, backends })
}

#[test]
fn services_come_change_and_go() {
    let backend = |service: &str, port: u16| {
        format!("{{service: {service}, name: {service}-1, site: dijon, addr: 127.1.0.1, port: {port}}}\n---\n")
    };
    let service = |name: &str, more: &str| {
        format!("{{name: {name}, domains: [{name}.acecinema.fr{more}], health: {{type: tcp}}}}\n---\n")
    };
    let before = of_services(
        &[service("api", ""), service("www", ""), service("old", "")].concat(),
        &[backend("api", 80), backend("www", 81), backend("old", 82)].concat(),
    );
    let after = of_services(
        &[service("api", ", a.acecinema.fr"), service("www", ""), service("new", "")].concat(),
        &[backend("api", 80), backend("www", 91), backend("new", 82)].concat(),
    );
    let up = |desired: &Desired| observed(desired, |_| Verdict::Up);
    let first = plan(&before, &up(&before), None);
    let words = |plan: &Plan| plan.changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        words(&first),
        [
            "service api: added with 1 in rotation",
            "service old: added with 1 in rotation",
            "service www: added with 1 in rotation"
        ]
    );
    let second = plan(&after, &up(&after), Some(&first.effective));
    assert_eq!(
        words(&second),
        [
            "service api: settings changed: domains (+ a.acecinema.fr)",
            "service new: added with 1 in rotation",
            "service old: removed",
            "service www: www-1 moves from 127.1.0.1:81 to 127.1.0.1:91",
        ]
    );
    assert_eq!(second.revision, Revision::new("0123456789abcdef"));
    let back = plan(&before, &up(&before), Some(&second.effective));
    assert_eq!(back.effective, first.effective, "where one comes from does not matter");
}

#[test]
fn a_hold_is_for_each_service_that_is_all_down() {
    let desired = of_services(
        "{name: api, domains: [api.acecinema.fr], health: {type: tcp}}\n---\n{name: www, domains: [www.acecinema.fr], health: {type: tcp}}",
        "{service: api, name: api-1, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
         {service: api, name: api-2, site: thory, addr: 127.2.0.1, port: 80}\n---\n\
         {service: www, name: www-1, site: dijon, addr: 127.1.0.1, port: 81}\n---\n\
         {service: www, name: www-2, site: thory, addr: 127.2.0.1, port: 81}",
    );
    let holds = |down: fn(&str) -> bool| {
        let verdict = |name: &str| if down(name) { Verdict::Down } else { Verdict::Up };
        let plan = plan(&desired, &observed(&desired, verdict), None);
        plan.holds.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(holds(|_| false), Vec::<String>::new());
    assert_eq!(holds(|name| name.ends_with('1')), Vec::<String>::new(), "a site that is down is no hold");
    assert_eq!(holds(|name| name.starts_with("www")), [ALL_DOWN]);
    assert_eq!(holds(|_| true), ["service api: all 2 backends are down; all of them are tried", ALL_DOWN]);
}

/// The roles of `a`, `b` and `c` of one service, whose verdicts are `up` or not by letter, and of which some say `drain`.
fn roles_of_reports(listens: bool, verdicts: &str, draining: &[&str]) -> Vec<Role> {
    let services = format!("name: www\ndomains: [www.acecinema.fr]\nhealth: {{path: /health, report: {listens}}}\n");
    let backends = "{service: www, name: a, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
                    {service: www, name: b, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
                    {service: www, name: c, site: thory, addr: 127.2.0.1, port: 80}\n";
    let desired = desired(Texts { edges: PLAIN_EDGE, services: &services, backends });
    let letter = |name: &str| verdicts.as_bytes()["abc".find(name).expect("one of three")];
    let mut observed = observed(&desired, |name| match letter(name) {
        b'u' => Verdict::Up,
        b'd' => Verdict::Down,
        _ => Verdict::Unknown,
    });
    for (name, health) in &mut observed.backends {
        health.told.report = Some(Report { drains: draining.contains(&name.as_str()), percent: None });
    }
    let effective = merge(&desired, &observed);
    effective.services.values().flat_map(|service| &service.members).map(|member| member.role).collect()
}

#[test]
fn a_backend_that_reports_to_drain_is_left_alone_while_another_is_up() {
    const REPORTED: Role = Role::Out(Exclusion::Reported);
    const IN: Role = Role::InRotation;
    for (listens, verdicts, draining, expected) in [
        (true, "uuu", &["a"][..], [REPORTED, IN, IN]),
        (true, "uuu", &["a", "b"], [REPORTED, REPORTED, IN]),
        (false, "uuu", &["a"], [IN, IN, IN]),
        (true, "uuu", &["a", "b", "c"], [IN, IN, IN]),
        (true, "udd", &["a"], [IN, DOWN, DOWN]),
        (true, "u??", &["a"], [IN, IN, IN]),
        (true, "duu", &["a"], [DOWN, IN, IN]),
    ] {
        assert_eq!(roles_of_reports(listens, verdicts, draining), expected, "{listens} {verdicts} {draining:?}");
    }
}
