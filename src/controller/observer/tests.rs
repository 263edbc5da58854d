use super::*;
use crate::core::health::{Failure, Outcome, Report, Told, Vantage, Verdict};
use crate::core::inventory::load;
use crate::core::model::FileSet;

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn desired(address: &str, service: &str) -> Desired {
    let files = [
        ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n".to_owned()),
        ("services/api.yaml", format!("name: api\ndomains: [api.acecinema.fr]\n{service}\n")),
        ("backends/a.yaml", format!("service: api\nname: a\nsite: dijon\naddr: {address}\nport: 80\n")),
        ("edges/ovh.yaml", "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [\":80\"]\ntls: {mode: off}\n".to_owned()),
    ];
    let files: FileSet = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let loaded = load(&files, Revision::new("r"));
    loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// Whether a verdict is still believed after the inventory changed, while the controller runs and over a restart.
fn is_kept(before: &Desired, after: &Desired) -> [bool; 2] {
    let name: BackendName = "a".parse().expect("a name");
    let mut running = State::default();
    running.follow(before, BTreeMap::new(), NOW);
    running.watched.get_mut(&name).expect("it is declared").health.verdict = Verdict::Down;
    let stored = BTreeMap::from_iter(running.health(&name));
    running.follow(after, BTreeMap::new(), NOW);
    let mut restarted = State::default();
    restarted.follow(after, stored, NOW);
    [running, restarted].map(|state| state.watched[&name].health.verdict == Verdict::Down)
}

#[test]
fn a_verdict_holds_for_what_was_asked_and_for_nothing_else() {
    let health = "health: { path: /health, interval: 2s }";
    let before = desired("10.200.1.1", health);
    for (after, expected) in [
        (desired("10.200.1.1", health), true),
        (desired("10.200.1.1", "health: { path: /health, interval: 3s, rise: 5 }\ntags: [bourgogne]"), true),
        (desired("10.200.1.2", health), false),
        (desired("10.200.1.1", "health: { path: /up, interval: 2s }"), false),
        (desired("10.200.1.1", "health: { path: /health, expect: { status: [204] } }"), false),
        (desired("10.200.1.1", "health: { type: tcp }"), false),
        (desired("10.200.1.1", "health: { path: /health, method: HEAD }"), false),
        (desired("10.200.1.1", "health: { path: /health, host: inner.example.org }"), false),
        (desired("10.200.1.1", "health: { path: /health, headers: { X-Probe: a } }"), false),
        (desired("10.200.1.1", "health: { path: /health, expect: { body: { contains: ok } } }"), false),
        (desired("10.200.1.1", "health: { path: /health, latency: 1s, fast_interval: 1s, grace: 9s }"), true),
    ] {
        assert_eq!(is_kept(&before, &after), [expected; 2], "{:?}", after.backends);
    }
}

#[test]
fn what_an_older_version_stored_is_not_believed() {
    let (desired, mut state) = (desired("10.200.1.1", ""), State::default());
    let name: BackendName = "a".parse().expect("a name");
    let stored = BackendHealth { verdict: Verdict::Down, ..BackendHealth::default() };
    state.follow(&desired, BTreeMap::from([(name.clone(), stored)]), NOW);
    assert_eq!(state.watched[&name].health.verdict, Verdict::Unknown);
}

#[test]
fn a_sample_of_what_was_asked_before_means_nothing() {
    let mut state = State::default();
    let rise = "health: { type: tcp, rise: 1 }";
    state.follow(&desired("10.200.1.1", rise), BTreeMap::new(), NOW);
    let moved_at = NOW.plus(Duration::from_secs(9));
    state.follow(&desired("10.200.1.2", rise), BTreeMap::new(), moved_at);
    let mut verdict_after = |millis| {
        let (at, latency) = (moved_at.plus(Duration::from_millis(millis)), Duration::from_millis(30));
        let backend: BackendName = "a".parse().expect("a name");
        let sample = Sample {
            backend,
            vantage: Vantage::Controller,
            at,
            latency,
            outcome: Outcome::Pass,
            told: Told::default(),
        };
        state.take(&sample, &mut Vec::new());
        state.watched[&sample.backend].health.verdict
    };
    assert_eq!(verdict_after(20), Verdict::Unknown, "it began at the old address");
    assert_eq!(verdict_after(40), Verdict::Up);
}

/// What is believed of backend `a` after answers, one a second from `NOW` on: `+` passes, `-` fails.
fn verdict_after(state: &mut State, from: u64, answers: &str) -> Verdict {
    let backend: BackendName = "a".parse().expect("a name");
    for (second, answer) in (from..).zip(answers.chars()) {
        let outcome = if answer == '+' { Outcome::Pass } else { Outcome::Fail(Failure::Status(503)) };
        let (at, latency) = (NOW.plus(Duration::from_secs(second)), Duration::ZERO);
        let sample = Sample {
            backend: backend.clone(),
            vantage: Vantage::Controller,
            at,
            latency,
            outcome,
            told: Told::default(),
        };
        state.take(&sample, &mut Vec::new());
    }
    state.watched[&backend].health.verdict
}

#[test]
fn failures_of_a_backend_that_starts_do_not_count_for_a_while() {
    for (grace, answers, expected) in [
        ("", "---", Verdict::Down),
        ("grace: 10s", "----------", Verdict::Unknown),
        ("grace: 10s", "------------", Verdict::Unknown),
        ("grace: 10s", "-------------", Verdict::Down),
        ("grace: 10s", "--+---", Verdict::Down),
    ] {
        let mut state = State::default();
        let service = format!("health: {{ path: /health, {grace} }}");
        state.follow(&desired("10.200.1.1", &service), BTreeMap::new(), NOW);
        assert_eq!(verdict_after(&mut state, 0, answers), expected, "{grace} {answers}");
    }
}

#[test]
fn a_grace_begins_again_when_a_backend_is_put_back() {
    let service = "health: { path: /health, grace: 10s }";
    let active = desired("10.200.1.1", service);
    let mut drained = active.clone();
    for backend in drained.backends.values_mut() {
        Arc::make_mut(backend).state = BackendState::Drain;
    }
    let mut state = State::default();
    state.follow(&active, BTreeMap::new(), NOW);
    assert_eq!(verdict_after(&mut state, 0, "++"), Verdict::Up);
    state.follow(&drained, BTreeMap::new(), NOW.plus(Duration::from_secs(2)));
    assert_eq!(verdict_after(&mut state, 2, "--"), Verdict::Up, "it may be restarted while it is drained");
    state.follow(&active, BTreeMap::new(), NOW.plus(Duration::from_secs(4)));
    assert_eq!(verdict_after(&mut state, 4, "-----"), Verdict::Up);
    assert_eq!(verdict_after(&mut state, 14, "---"), Verdict::Down);
    // A revision that changes nothing about it begins none.
    state.follow(&active, BTreeMap::new(), NOW.plus(Duration::from_secs(17)));
    assert_eq!(verdict_after(&mut state, 17, "++---"), Verdict::Down);
}

#[test]
fn a_report_is_news_once() {
    let mut state = State::default();
    state.follow(&desired("10.200.1.1", "health: { path: /health, report: true }"), BTreeMap::new(), NOW);
    let backend: BackendName = "a".parse().expect("a name");
    let mut is_news = |second, report| {
        let (at, latency) = (NOW.plus(Duration::from_secs(second)), Duration::ZERO);
        let told = Told { report, ..Told::default() };
        let backend = backend.clone();
        let sample = Sample { backend, vantage: Vantage::Controller, at, latency, outcome: Outcome::Pass, told };
        state.take(&sample, &mut Vec::new());
        std::mem::take(&mut state.has_reports)
    };
    let says = |drains| Some(Report { drains, percent: None });
    assert!(!is_news(1, says(false)), "nothing is what everybody says");
    assert!(is_news(2, says(true)) && !is_news(3, says(true)) && !is_news(4, None));
    assert!(is_news(5, says(false)));
    let asks = |percent| Some(Report { drains: false, percent: Some(percent) });
    assert!(is_news(6, asks(50)) && !is_news(7, asks(50)) && !is_news(8, asks(1)), "at most twice a minute");
    assert!(is_news(66, asks(1)));
}

/// Failures at an old address, with the network there, say nothing of whether it is there while the new one is tried.
#[test]
fn what_was_out_of_reach_elsewhere_does_not_count_here() {
    let files = |address: &str| {
        let backend =
            |name, site, addr| format!("{{service: api, name: {name}, site: {site}, addr: {addr}, port: 80}}");
        let files = [
            ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n".to_owned()),
            ("sites/thory.yaml", "name: thory\nsubnets: [10.200.2.0/24]\n".to_owned()),
            ("services/api.yaml", "name: api\ndomains: [api.acecinema.fr]\nhealth: {type: tcp}\n".to_owned()),
            ("backends/a.yaml", backend("a", "dijon", address)),
            ("backends/b.yaml", backend("b", "thory", "10.200.2.1")),
        ];
        let files: FileSet = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        let loaded = load(&files, Revision::new("r"));
        loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    };
    let at = |second| NOW.plus(Duration::from_secs(second));
    let take = |state: &mut State, second, name: &str, outcome| {
        let (backend, latency, told) = (name.parse().expect("a name"), Duration::ZERO, Told::default());
        let sample = Sample { backend, vantage: Vantage::Controller, at: at(second), latency, outcome, told };
        state.take(&sample, &mut Vec::new());
        state.watched[&sample.backend].health.clone()
    };
    let lost = || Outcome::Fail(Failure::Timeout);
    let mut state = State::default();
    state.follow(&files("10.200.1.1"), BTreeMap::new(), NOW);
    take(&mut state, 1, "a", lost());
    state.follow(&files("10.200.1.2"), BTreeMap::new(), at(2));
    take(&mut state, 3, "b", Outcome::Pass);
    for second in 4..20 {
        assert_eq!(take(&mut state, second, "a", lost()).verdict, Verdict::Unknown, "nobody has been reached since");
    }
    assert_eq!(state.watched[&"a".parse().expect("a name")].health.availability.share(), None);
    take(&mut state, 20, "b", Outcome::Pass);
    let health = &state.watched[&"a".parse().expect("a name")].health;
    assert_eq!((health.verdict, health.availability.share()), (Verdict::Down, Some(0.0)), "{health:?}");
}
