//! See `src/core/status.rs`.

mod layers;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use bascule::core::health::{
    Availability, BackendHealth, Failure, Flap, Hour, HourCount, LastSample, Observed, Outcome, Share, Told, Verdict,
};
use bascule::core::inventory::{BackendState, Desired, QuarantineFault, Quarantined};
use bascule::core::model::{Digest, EdgeName, Generation, Revision, RevisionInfo, Timestamp};
use bascule::core::routing::{Leaving, Plan};
use bascule::core::status::{
    Applied, EdgeReport, EdgeState, Fault, Inputs, Paint, RefusedService, RelayState, SiteState, StatusDto, text, view,
};

use crate::support::inventory::{Texts, desired, plan, set_state};
use crate::support::view::nothing_known;

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOW.unix_millis() - seconds * 1000)
}

const TEXTS: Texts<'static> = Texts {
    edges: "{name: ovh, admin: 'http://127.0.0.1:2019', listen: [':443'], tls: {mode: internal}}\n---\n\
            {name: spare, admin: unix//run/caddy/admin.sock, listen: [':8080'], tls: {mode: 'off'}}\n---\n\
            {name: zurich, admin: 'http://127.0.0.2:2019', listen: [':443'], tls: {mode: internal}}\n",
    services: "{name: api, domains: [api.acecinema.fr], health: {type: tcp}}\n---\n\
               {name: docs, domains: [docs.acecinema.fr, '*.docs.acecinema.fr'], health: {type: tcp}}\n---\n\
               {name: idle, domains: [idle.acecinema.fr], health: {type: tcp}}\n---\n\
               {name: www, domains: [www.acecinema.fr], health: {path: /health}}\n",
    backends: "{service: api, name: api-dijon-1, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
               {service: api, name: api-thory-1, site: thory, addr: 'fd00:2::1', port: 80}\n---\n\
               {service: docs, name: docs-dijon-1, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
               {service: docs, name: docs-thory-1, site: thory, addr: 127.2.0.2, port: 80}\n---\n\
               {service: idle, name: idle-dijon-1, site: dijon, addr: 127.1.0.3, port: 80}\n---\n\
               {service: idle, name: idle-thory-1, site: thory, addr: 127.2.0.3, port: 80, state: disabled}\n---\n\
               {service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.4, port: 8080, weight: 3}\n---\n\
               {service: www, name: www-thory-1, site: thory, addr: 127.2.0.4, port: 8080}\n",
};

fn health(verdict: Verdict, seconds: i64, outcome: Outcome) -> BackendHealth {
    let hours = vec![HourCount { hour: Hour::from(NOW), passes: 999, fails: 1 }];
    // As long as it is what it is; longer than a day is a day.
    let counted_since = Some(ago(seconds.max(180)));
    BackendHealth {
        target: None,
        verdict,
        was_up: false,
        since: Some(ago(seconds)),
        passes: 12,
        fails: 0,
        last: Some(LastSample { at: ago(2), latency: Duration::from_micros(1_250), outcome }),
        availability: Availability::kept(hours, counted_since),
        flap: Flap::default(),
        told: Told::default(),
        share: Share::default(),
    }
}

fn observed() -> Observed {
    let refused = Outcome::Fail(Failure::Connect("connection refused".to_owned()));
    let all = [
        ("api-dijon-1", health(Verdict::Down, 90, refused.clone())),
        ("api-thory-1", health(Verdict::Down, 9_000, Outcome::Fail(Failure::Timeout))),
        ("docs-dijon-1", health(Verdict::Up, 600_000, Outcome::Pass)),
        ("docs-thory-1", health(Verdict::Down, 600, Outcome::Fail(Failure::Status(503)))),
        ("idle-dijon-1", health(Verdict::Down, 30, refused)),
        ("www-dijon-1", health(Verdict::Up, 0, Outcome::Pass)),
    ];
    let backends = all.into_iter().map(|(name, health)| (name.parse().expect("a name"), health)).collect();
    Observed { generation: Generation(41), revision: None, isolated_since: None, backends }
}

fn reports() -> BTreeMap<EdgeName, EdgeReport> {
    let (digest, revision) = (Digest::of(b"one"), Revision::new("fedcba9876543210"));
    let applied = Some(Applied { digest: digest.clone(), revision, at: ago(3) });
    let in_sync = EdgeReport {
        state: EdgeState::InSync,
        since: Some(ago(700)),
        rendered: Some(digest),
        applied: applied.clone(),
        refused: Vec::new(),
        fault: None,
        planned: None,
        pushes: 4,
        relay: Some(RelayState::Asked),
        leaving: Some(vec![Leaving {
            upstream: "127.1.0.3:80".to_owned(),
            backend: Some("idle-dijon-1".to_owned()),
            reason: "draining".to_owned(),
            open: 1,
        }]),
        drifts: 1,
    };
    let stalled = EdgeReport {
        state: EdgeState::Stalled,
        since: Some(ago(200_000)),
        rendered: Some(Digest::of(b"two")),
        applied,
        refused: vec![RefusedService {
            service: "www".parse().expect("a name"),
            since: ago(90),
            revision: Revision::new("0123456789abcdef"),
            kept: Some(Revision::new("fedcba9876543210")),
            refused: Digest::of(b"www"),
            message: "loading new config: unknown module: http.handlers.lacking".to_owned(),
        }],
        fault: Some(("Caddy refuses the configuration: loading module".to_owned(), ago(200_000))),
        planned: None,
        pushes: 9,
        relay: None,
        leaving: None,
        drifts: 0,
    };
    [("ovh", in_sync), ("zurich", stalled)].map(|(name, report)| (name.parse().expect("a name"), report)).into()
}

fn quarantine() -> [Quarantined; 2] {
    let fault = QuarantineFault {
        code: "unknown-key".to_owned(),
        file: "services/api.yaml".to_owned(),
        line: Some(3),
        column: Some(1),
        message: "unknown key `helth`".to_owned(),
        hint: Some("did you mean `health`?".to_owned()),
    };
    let one = |service: &str, kept: Option<&str>| Quarantined {
        service: service.to_owned(),
        since: ago(600),
        revision: Revision::new("0123456789abcdef0123456789abcdef01234567"),
        kept: kept.map(Revision::new),
        fault: fault.clone(),
    };
    [one("api", Some("fedcba9876543210")), one("new", None)]
}

fn whole() -> StatusDto {
    let (mut desired, observed, edges) = (desired(TEXTS), observed(), reports());
    set_state(&mut desired, "idle-dijon-1", BackendState::Drain);
    let plan = plan(&desired, &observed, None);
    let info = RevisionInfo {
        id: Revision::new("0123456789abcdef0123456789abcdef01234567"),
        author: "Jeanne Dupont".to_owned(),
        subject: "drain idle".to_owned(),
        committed_at: ago(3_600),
    };
    let fault = Fault {
        scope: "inventory",
        message: "revision 89abcdef0123 is refused: 1 error; the last good one is served".to_owned(),
        since: ago(150),
        details: vec!["services/www.yaml:2:1: error[unknown-key]: unknown key `domain`".to_owned()],
    };
    view(&Inputs {
        served: Some((&info, &desired)),
        quarantine: &quarantine(),
        fetched_at: Some(ago(5)),
        source_faults: [None, Some(&fault)],
        observed: &observed,
        plan: Some(&plan),
        edges: &edges,
        ..nothing_known(NOW)
    })
}

/// What is shown of a revision and what is observed of it.
fn seen(
    desired: &Desired,
    observed: &Observed,
    plan: Option<&Plan>,
    edges: &BTreeMap<EdgeName, EdgeReport>,
) -> StatusDto {
    let info =
        RevisionInfo { id: Revision::new("1"), author: String::new(), subject: String::new(), committed_at: NOW };
    view(&Inputs { served: Some((&info, desired)), observed, plan, edges, ..nothing_known(NOW) })
}

fn empty() -> StatusDto {
    view(&nothing_known(NOW))
}

/// The lines that tell of faults in the inventory, and how many details programs get.
fn told(source: Option<&Fault>, refusal: &Fault) -> (Vec<String>, usize) {
    let status =
        view(&Inputs { fetched_at: Some(ago(90)), source_faults: [source, Some(refusal)], ..nothing_known(NOW) });
    let text = text(&status, Paint::Plain);
    let lines = text.lines().filter(|line| line.contains("yaml:")).map(|line| line.trim().to_owned()).collect();
    (lines, status.faults.iter().map(|fault| fault.details.len()).sum())
}

#[test]
fn a_diagnostic_is_told_once_and_only_as_long_as_it_can_be_looked_at() {
    let detail = |file: &str| format!("{file}.yaml:3:7: error[unknown-site]: no site is named `dijno`");
    let fault = |message: String, details: Vec<String>| Fault { scope: "inventory", message, since: ago(90), details };
    let message = |more: &str| format!("revision 89ab is refused: {}{more}; the last good one stays", detail("a"));
    let one = fault(message(""), vec![detail("a")]);
    assert_eq!(told(None, &one), (vec![format!("fault inventory: {} (for 90s)", one.message)], 1));
    let two = fault(message(" (and 1 more)"), vec![detail("a"), detail("b")]);
    let first = format!("fault inventory: {} (for 90s)", two.message);
    assert_eq!(told(None, &two), (vec![first, detail("b")], 2));

    let source = Fault { scope: "source", message: "cannot read it".to_owned(), since: ago(30), details: Vec::new() };
    let last = format!("fault inventory: at the last look at the source: {} (for 90s)", two.message);
    assert_eq!(told(Some(&source), &two), (vec![last], 0));
}

fn without_version(status: &StatusDto) -> StatusDto {
    StatusDto { version: "0.0.0".to_owned(), ..status.clone() }
}

#[test]
fn people_see_what_is_wrong_first() {
    insta::assert_snapshot!("text", text(&whole(), Paint::Plain));
    insta::assert_snapshot!("text_before_the_first_revision", text(&empty(), Paint::Plain));
}

#[test]
fn an_edge_that_cannot_be_configured_is_not_said_to_run_anything_now() {
    let mut status = whole();
    let edge = status.edges.iter_mut().find(|edge| edge.name == "zurich").expect("it is declared");
    edge.state = EdgeState::Retrying;
    let line = |status: &StatusDto| {
        let text = text(status, Paint::Plain);
        text.lines().find(|line| line.starts_with("edge zurich")).expect("it is shown").to_owned()
    };
    let retrying = line(&status);
    assert!(retrying.contains("  ran 7692c3ad3540 when seen 3s ago  wanted 3fc4ccfe7458"), "{retrying}");
    assert!(!retrying.contains("runs"), "{retrying}");
    status.edges.iter_mut().for_each(|edge| edge.applied = None);
    let never = line(&status);
    assert!(never.contains("  not seen to run anything of ours  wanted 3fc4ccfe7458"), "{never}");
}

#[test]
fn programs_see_every_field() {
    insta::assert_json_snapshot!("json", without_version(&whole()));
    assert_eq!(whole().version, env!("CARGO_PKG_VERSION"));
    for status in [whole(), empty()] {
        let json = serde_json::to_string(&status).expect("a status is JSON");
        assert_eq!(serde_json::from_str::<StatusDto>(&json).expect("it reads its own answer"), status);
    }
}

/// Colours are added and nothing else: columns stay where they are.
#[test]
fn colours_change_no_letter() {
    let painted = text(&whole(), Paint::Colour);
    let mut plain = painted.clone();
    for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
        assert!(painted.contains(code), "{code:?} is used");
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, text(&whole(), Paint::Plain));
}

#[test]
fn ready_is_a_revision_and_every_edge_tried() {
    assert!(!empty().ready);
    assert!(!whole().ready, "`spare` was not tried yet");
    let desired = desired(TEXTS);
    let mut edges = reports();
    edges.insert("spare".parse().expect("a name"), EdgeReport { state: EdgeState::Retrying, ..EdgeReport::default() });
    assert!(seen(&desired, &Observed::default(), None, &edges).ready);
}

#[test]
fn a_page_in_place_of_a_service_is_a_fault() {
    let services = TEXTS.services.replace("name: api,", "name: api, routing: {when_all_down: page},");
    let desired = desired(Texts { services: &services, ..TEXTS });
    let down = |name: &str| (name.parse().expect("a name"), health(Verdict::Down, 30, Outcome::Pass));
    let backends = ["api-dijon-1", "api-thory-1"].map(down).into();
    let observed = Observed { backends, ..Observed::new() };
    let plan = plan(&desired, &observed, None);
    let status = seen(&desired, &observed, Some(&plan), &BTreeMap::new());
    let told: Vec<_> = status.faults.iter().filter(|fault| fault.scope == "service api").collect();
    assert_eq!(told.len(), 1, "{:?}", status.faults);
    assert_eq!(
        (told[0].message.as_str(), told[0].age_seconds),
        ("none of its backends is up; clients get its page", 30)
    );
}

/// How dijon stands with two backends at verdicts by letter, the others being disabled.
fn dijon(letters: &str) -> (SiteState, Option<Timestamp>) {
    let mut desired = desired(TEXTS);
    set_state(&mut desired, "idle-dijon-1", BackendState::Disabled);
    set_state(&mut desired, "docs-dijon-1", BackendState::Disabled);
    let verdict = |(name, (ago, letter)): (&str, (i64, char))| {
        let verdict = if letter == 'u' { Verdict::Up } else { Verdict::Down };
        (letter != '?').then(|| (name.parse().expect("a name"), health(verdict, ago, Outcome::Pass)))
    };
    let known = ["api-dijon-1", "www-dijon-1"].into_iter().zip([90, 30].into_iter().zip(letters.chars()));
    let observed = Observed {
        generation: Generation(1),
        revision: None,
        isolated_since: None,
        backends: known.filter_map(verdict).collect(),
    };
    let status = seen(&desired, &observed, None, &BTreeMap::new());
    let site = status.sites.into_iter().find(|site| site.name == "dijon").expect("it is declared");
    (site.state, site.since)
}

#[test]
fn a_site_stands_as_its_backends_do() {
    for (letters, expected) in [
        ("uu", (SiteState::Up, Some(ago(30)))),
        ("dd", (SiteState::Down, Some(ago(30)))),
        ("du", (SiteState::Partial, Some(ago(30)))),
        ("d?", (SiteState::Partial, Some(ago(90)))),
        ("u?", (SiteState::Partial, Some(ago(90)))),
        ("??", (SiteState::Unknown, None)),
    ] {
        assert_eq!(dijon(letters), expected, "{letters}");
    }
}

/// What is said of `www-dijon-1`, over HTTPS, whose certificate ends in so many days.
fn warnings_of(health_keys: &str, upstream_keys: &str, days: i64) -> Vec<String> {
    let services = format!(
        "name: www\ndomains: [www.acecinema.fr]\nhealth: {{path: /health, {health_keys}}}\n\
         upstream: {{protocol: https, {upstream_keys}}}\n"
    );
    let backends = "{service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.4, port: 8443}\n---\n\
                    {service: www, name: www-thory-1, site: thory, addr: 127.2.0.4, port: 8443}\n";
    let desired = desired(Texts { services: &services, backends, ..TEXTS });
    let mut health = health(Verdict::Up, 90, Outcome::Pass);
    // An hour more than whole days, as it is told in whole days.
    health.told.certificate_ends = Some(ago(-(days * 86_400 + 3_600)));
    let backends = [("www-dijon-1".parse().expect("a name"), health)].into();
    let observed = Observed { backends, ..Observed::new() };
    let plan = plan(&desired, &observed, None);
    let status = seen(&desired, &observed, Some(&plan), &BTreeMap::new());
    let backend = status.services[0].backends.iter().find(|it| it.name == "www-dijon-1").expect("it is declared");
    let text = text(&status, Paint::Plain);
    let line = text.lines().find(|line| line.contains("www-dijon-1")).expect("it is shown");
    assert!(backend.warnings.iter().all(|warning| line.contains(warning.as_str())), "{line}");
    assert!(backend.in_rotation && backend.certificate_ends.is_some());
    backend.warnings.clone()
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of() {
    for (health_keys, upstream_keys, days, expected) in [
        ("", "", 14, None),
        ("", "", 13, Some("its certificate ends in 13 days")),
        ("", "", 1, Some("its certificate ends in 1 day")),
        ("", "", -3, Some("its certificate ended 2 days ago")),
        ("tls: {min_days: 30}", "", 29, Some("its certificate ends in 29 days")),
        ("tls: {min_days: 0}", "", 1, None),
        ("", "verify: false", 1, None),
        ("tls: {min_days: 7}", "verify: false", 6, Some("its certificate ends in 6 days")),
    ] {
        let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
        assert_eq!(warnings_of(health_keys, upstream_keys, days), expected, "{health_keys} {upstream_keys} {days}");
    }
}
