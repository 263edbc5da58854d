//! What is written is read again, by the next process too.

use std::collections::{BTreeMap, BTreeSet};

use bascule::core::health::{BackendHealth, Failure, LastSample, Outcome, Verdict};
use bascule::core::inventory::{BackendState, Desired, load};
use bascule::core::model::{BackendName, FileSet, Generation};
use bascule::store::{ApplyOutcome, RevisionOutcome, Served, StoreError, StoreFault};

use super::sample::{Scratch, apply, at, files, health, name, rejected, render, reopen, revision, served, transition};
use crate::support::inventory::plan;

#[tokio::test]
async fn revisions_come_back_with_their_files() {
    let scratch = Scratch::new();
    let store = scratch.open();
    assert_eq!(store.last_good_revision().await.expect("reads"), None);
    store.record_revision(revision(1), files(1), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    store.record_revision(revision(2), files(2), RevisionOutcome::Accepted, at(2)).await.expect("writes");
    store.record_revision(revision(3), files(3), rejected(), at(3)).await.expect("writes");
    let store = reopen(store).await;

    let (info, last_good) = store.last_good_revision().await.expect("reads").expect("there is one");
    assert_eq!((&info, &last_good), (&revision(2), &*files(2)));
    let rows = store.revisions(2).await.expect("reads");
    let seen: Vec<_> = rows.into_iter().map(|row| (row.info, row.outcome, row.read_at)).collect();
    assert_eq!(seen, [(revision(3), rejected(), at(3)), (revision(2), RevisionOutcome::Accepted, at(2))]);
}

#[tokio::test]
async fn a_revision_that_comes_back_is_the_last_good_one_again() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for number in [1, 2, 1, 1] {
        let (info, files) = (revision(number), files(number));
        store.record_revision(info, files, RevisionOutcome::Accepted, at(9)).await.expect("writes");
    }
    let (info, last_good) = store.last_good_revision().await.expect("reads").expect("there is one");
    assert_eq!((&info, &last_good), (&revision(1), &*files(1)));
    let seen: Vec<_> = store.revisions(10).await.expect("reads").into_iter().map(|row| row.info).collect();
    assert_eq!(seen, [revision(1), revision(2), revision(1)], "the fourth told nothing new");

    // The same commit with another outcome or other files (another `--path`) is news.
    store.record_revision(revision(1), files(1), rejected(), at(10)).await.expect("writes");
    store.record_revision(revision(1), files(7), RevisionOutcome::Accepted, at(11)).await.expect("writes");
    let (_, last_good) = store.last_good_revision().await.expect("reads").expect("there is one");
    assert_eq!(last_good, *files(7));
}

#[tokio::test]
async fn files_that_leave_and_return_stand_in_the_right_revisions() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let set = |paths: &[&str]| -> FileSet { paths.iter().map(|path| (*path, path.as_bytes().to_vec())).collect() };
    let history = [&["a.yaml", "b.yaml"][..], &["b.yaml"], &[], &["a.yaml", "c.yaml"], &["b.yaml", "c.yaml"]];
    for (number, paths) in (1..).zip(history) {
        store
            .record_revision(revision(number), set(paths).into(), RevisionOutcome::Accepted, at(1))
            .await
            .expect("writes");
        let (info, last_good) = store.last_good_revision().await.expect("reads").expect("there is one");
        assert_eq!((info, last_good), (revision(number), set(paths)));
    }
    // What is rejected does not change the files of what is good.
    store.record_revision(revision(9), set(&["z.yaml"]).into(), rejected(), at(1)).await.expect("writes");
    let (_, last_good) = store.last_good_revision().await.expect("reads").expect("there is one");
    assert_eq!(last_good, set(&["b.yaml", "c.yaml"]));
    store.integrity().await.expect("is whole");
}

#[tokio::test]
async fn contents_are_kept_once() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for number in 1..=5 {
        let (info, files) = (revision(number), files(number));
        store.record_revision(info, files, RevisionOutcome::Accepted, at(9)).await.expect("writes");
    }
    let twins = FileSet::from_iter([("a.yaml", b"same".to_vec()), ("b.yaml", b"same".to_vec())]);
    store.record_revision(revision(6), twins.into(), RevisionOutcome::Accepted, at(9)).await.expect("writes");
    for edge in ["ovh", "hetzner", "ovh"] {
        store.record_render(render(edge, 1)).await.expect("writes");
    }
    store.close().await;
    assert_eq!(scratch.count("SELECT count(*) FROM blobs"), 7, "one site, five services, and the twins' one");
    assert_eq!(scratch.count("SELECT count(*) FROM configs"), 1);
    assert_eq!(scratch.count("SELECT count(*) FROM renders"), 2);
}

#[tokio::test]
async fn health_comes_back_whole_and_is_replaced() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let outcomes = [
        Outcome::Pass,
        Outcome::Fail(Failure::Timeout),
        Outcome::Fail(Failure::Status(503)),
        Outcome::Fail(Failure::Tls("certificate expired".to_owned())),
        Outcome::Fail(Failure::Protocol("not HTTP".to_owned())),
    ];
    let mut expected: BTreeMap<BackendName, BackendHealth> = BTreeMap::new();
    for (number, outcome) in (0..).zip(outcomes) {
        let mut health = health(number);
        health.last = health.last.map(|last| LastSample { outcome, ..last });
        expected.insert(name(&format!("b{number}")), health);
    }
    expected.insert(name("never-probed"), BackendHealth::default());
    expected.insert(name("up"), BackendHealth { verdict: Verdict::Up, passes: u32::MAX, ..health(3) });
    store.record_health(expected.clone().into_iter().collect()).await.expect("writes");
    expected.insert(name("b0"), health(99));
    store.record_health(vec![(name("b0"), health(99))]).await.expect("writes");
    let store = reopen(store).await;
    assert_eq!(store.health().await.expect("reads"), expected);

    let kept = BTreeSet::from([name("up"), name("not-known")]);
    store.retain_backends(kept).await.expect("writes");
    assert_eq!(store.health().await.expect("reads").into_keys().collect::<Vec<BackendName>>(), [name("up")]);
}

#[tokio::test]
async fn transitions_come_back_newest_first_with_their_health() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let written: Vec<_> = (0..10)
        .map(|second| transition(["a", "b"][second % 2], i64::try_from(second).expect("small"), "refused"))
        .collect();
    for half in written.chunks(5) {
        store.record_transitions(half.to_vec(), vec![(name("a"), health(4))]).await.expect("writes");
    }
    let store = reopen(store).await;
    let newest: Vec<_> = written.iter().rev().cloned().collect();
    assert_eq!(store.transitions(None, 100).await.expect("reads"), newest);
    assert_eq!(store.transitions(None, 3).await.expect("reads"), newest[..3]);
    let of_a: Vec<_> = newest.iter().filter(|transition| transition.backend == name("a")).take(2).cloned().collect();
    assert_eq!(store.transitions(Some(name("a")), 2).await.expect("reads"), of_a);
    assert_eq!(store.health().await.expect("reads"), BTreeMap::from([(name("a"), health(4))]));
}

#[tokio::test]
async fn renders_and_applies_come_back() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut written = Vec::new();
    for (number, outcome) in (1..).zip([
        ApplyOutcome::Applied,
        ApplyOutcome::Unchanged,
        ApplyOutcome::Rejected { message: "unknown module".to_owned() },
        ApplyOutcome::Failed { message: "connection refused".to_owned() },
        ApplyOutcome::Conflict,
    ]) {
        let mut render = render("ovh", number);
        render.generation = Generation(u64::MAX - u64::from(number));
        store.record_render(render.clone()).await.expect("writes");
        let apply = apply(&render, outcome);
        store.record_apply(apply.clone()).await.expect("writes");
        written.insert(0, apply);
    }
    let store = reopen(store).await;
    assert_eq!(store.applies(name("ovh"), 10).await.expect("reads"), written);
    assert_eq!(store.applies(name("ovh"), 1).await.expect("reads"), written[..1]);
    assert_eq!(store.applies(name("other"), 10).await.expect("reads"), []);
    // What was refused or failed is not what the edge runs.
    let last = store.last_applied(name("ovh")).await.expect("reads").expect("there is one");
    assert_eq!(last, written[3]);
    assert_eq!(store.rendered(last.digest).await.expect("reads").expect("kept"), b"{\"number\":2}");
    assert_eq!(store.last_applied(name("other")).await.expect("reads"), None);
    assert_eq!(store.rendered(render("ovh", 99).digest).await.expect("reads"), None);
}

#[tokio::test]
async fn what_is_served_is_replaced_as_a_whole() {
    let scratch = Scratch::new();
    let store = scratch.open();
    assert_eq!(store.served().await.expect("reads"), None);
    let first = served(3, 3);
    store.record_served_rows(first.clone()).await.expect("writes");
    let names = ["b000000", "b000008", "left-long-ago"];
    store.record_health(names.map(|backend| (name(backend), health(1))).to_vec()).await.expect("writes");
    let store = reopen(store).await;
    assert_eq!(store.served().await.expect("reads"), Some(first.clone()));

    // A service and a site leave with their backends, a backend moves to another service, a row changes in each field.
    let mut second = served(2, 3);
    second.revision = revision(2).id;
    second.sites.truncate(1);
    second.sites[0].subnets.push("10.201.0.0/16".parse().expect("a subnet"));
    second.services[0].domains.truncate(1);
    second.services[1].state = "degraded".to_owned();
    for backend in &mut second.backends {
        backend.site = name("dijon");
    }
    let moved = &mut second.backends[0];
    moved.service = name("s00001");
    moved.upstream = "[fd00:1::7]:9000".parse().expect("an address");
    (moved.weight, moved.state, moved.verdict) = (0, BackendState::Disabled, Verdict::Up);
    (moved.in_rotation, moved.reason) = (true, String::new());
    store.record_served_rows(second.clone()).await.expect("writes");
    let store = reopen(store).await;
    assert_eq!(store.served().await.expect("reads"), Some(second));
    assert_eq!(store.health().await.expect("reads").into_keys().collect::<Vec<BackendName>>(), [name("b000000")]);
    store.integrity().await.expect("is whole");
}

#[tokio::test]
async fn a_plan_becomes_rows() {
    let inventory = FileSet::from_iter(
        [
            ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n"),
            ("services/api.yaml", "name: api\ndomains: [api.acecinema.fr]\nhealth: { path: /health }\n"),
            ("backends/a.yaml", "name: a\nservice: api\nsite: dijon\naddr: 10.200.1.23\nport: 8080\n"),
            ("backends/b.yaml", "name: b\nservice: api\nsite: dijon\naddr: 10.200.1.24\nport: 8080\nstate: drain\n"),
            ("edges/ovh.yaml", "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [\":80\"]\ntls: { mode: \"off\" }\n"),
        ]
        .map(|(path, text)| (path, text.as_bytes().to_vec())),
    );
    let loaded = load(&inventory, revision(1).id);
    let desired: Desired = loaded.desired.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
    let plan = plan(&desired, &bascule::core::health::Observed::default(), None);
    let expected = Served::of(&desired, &plan);
    let rotation: Vec<_> = expected.backends.iter().map(|it| (it.name.as_str(), it.in_rotation, &*it.reason)).collect();
    assert_eq!(rotation, [("a", true, ""), ("b", false, "draining")]);

    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_served(desired.into(), plan.into()).await.expect("writes");
    assert_eq!(reopen(store).await.served().await.expect("reads"), Some(expected));
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing_and_says_so() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let good = served(1, 1);
    store.record_served_rows(good.clone()).await.expect("writes");
    let mut bad = served(2, 1);
    bad.backends[1].site = name("nowhere");
    let error = store.record_served_rows(bad).await.expect_err("there is no such site");
    assert!(matches!(error, StoreError::Sqlite { .. }), "{error:?}");
    assert_eq!(error.fault(), StoreFault::Stall);
    assert_eq!(store.served().await.expect("reads"), Some(good));
}

#[tokio::test]
async fn small_values_are_kept() {
    let scratch = Scratch::new();
    let store = scratch.open();
    assert_eq!(store.meta("term").await.expect("reads"), None);
    for value in ["1", "2", "2"] {
        store.set_meta("term", value.to_owned()).await.expect("writes");
    }
    assert_eq!(reopen(store).await.meta("term").await.expect("reads").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let clone = store.clone();
    store.close().await;
    let error = clone.health().await.expect_err("it is closed");
    assert!(matches!(error, StoreError::Closed { .. }), "{error:?}");
    let error = clone.record_health(vec![(name("a"), health(1))]).await.expect_err("it is closed");
    assert!(matches!(error, StoreError::Closed { .. }), "{error:?}");
    clone.close().await;
    assert!(!scratch.folder().join("bascule.db-wal").exists(), "the log was taken in");
}
