//! What is forgotten, and what never.

use std::collections::BTreeSet;

use bascule::core::model::{Digest, EdgeName, Revision, Timestamp};
use bascule::core::status::RefusedService;
use bascule::store::{ApplyOutcome, RevisionOutcome};

use super::sample::{Scratch, apply, at, files, health, name, rejected, render, revision, transition};

#[tokio::test]
async fn the_last_good_revision_outlives_any_number_of_bad_ones() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_revision(revision(1), files(1), RevisionOutcome::Accepted, at(1)).await.expect("writes");
    store.record_revision(revision(2), files(2), RevisionOutcome::Accepted, at(2)).await.expect("writes");
    for number in 3..=600 {
        store.record_revision(revision(number), files(number), rejected(), at(3)).await.expect("writes");
    }
    let rows = store.revisions(u32::MAX).await.expect("reads");
    let seen: Vec<_> = rows.into_iter().map(|row| row.info).collect();
    let expected: Vec<_> = (101..=600).rev().chain([2]).map(revision).collect();
    assert!(seen == expected, "{} rows, the oldest {:?}", seen.len(), seen.last());
    let (info, last_good) = store.last_good_revision().await.expect("reads").expect("is kept");
    assert_eq!((info, last_good), (revision(2), (*files(2)).clone()));

    // A newer good one sets it free.
    store.record_revision(revision(601), files(601), RevisionOutcome::Accepted, at(4)).await.expect("writes");
    let rows = store.revisions(u32::MAX).await.expect("reads");
    assert_eq!((rows.len(), &rows[499].info), (500, &revision(102)));
    store.integrity().await.expect("is whole");
    store.close().await;
    assert_eq!(scratch.count("SELECT count(*) FROM blobs"), 501, "one service each, and the site");
    assert_eq!(scratch.count("SELECT count(*) FROM revision_files"), 501);
}

#[tokio::test]
async fn old_revisions_go_where_none_was_ever_good() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for number in 1..=510 {
        store.record_revision(revision(number), files(number), rejected(), at(3)).await.expect("writes");
    }
    assert_eq!(store.revisions(u32::MAX).await.expect("reads").len(), 500);
}

#[tokio::test]
async fn what_an_edge_runs_outlives_any_number_of_newer_renders() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let running = render("ovh", 1);
    store.record_render(running.clone()).await.expect("writes");
    store.record_apply(apply(&running, ApplyOutcome::Applied)).await.expect("writes");
    let refused = ApplyOutcome::Rejected { message: "unknown module".to_owned() };
    for number in 2..=60 {
        store.record_render(render("ovh", number)).await.expect("writes");
        store.record_apply(apply(&render("ovh", number), refused.clone())).await.expect("writes");
        // An edge that was never reached keeps to the bound as well.
        store.record_render(render("hetzner", 1000 + number)).await.expect("writes");
    }
    let last = store.last_applied(name("ovh")).await.expect("reads").expect("there is one");
    assert_eq!(last.digest, running.digest);
    let bytes = |digest: Digest| {
        let store = store.clone();
        async move { store.rendered(digest).await.expect("reads") }
    };
    assert_eq!(bytes(running.digest).await.as_deref(), Some(&*running.bytes));
    assert_eq!(bytes(render("ovh", 40).digest).await, None);
    assert!(bytes(render("ovh", 41).digest).await.is_some());
    assert_eq!(bytes(render("hetzner", 1040).digest).await, None);
    store.close().await;
    assert_eq!(scratch.count("SELECT count(*) FROM configs"), 20 + 1 + 20);
}

#[tokio::test]
async fn the_last_success_outlives_any_number_of_failures() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let first = apply(&render("ovh", 1), ApplyOutcome::Applied);
    store.record_apply(first.clone()).await.expect("writes");
    store.close().await;
    // Ten thousand commits would take a minute on a slow disk; the rows are made in one.
    let connection = rusqlite::Connection::open(scratch.path()).expect("opens");
    let many = r#"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)
        INSERT INTO applies (edge, digest, revision, generation, "trigger", outcome, message, started_at, finished_at)
        SELECT 'ovh', 'd', 'r', 1, 't', 'failed', 'refused', 1, 2 FROM n"#;
    connection.execute_batch(many).expect("runs");
    connection.close().expect("closes");

    let store = scratch.open();
    let conflict = apply(&render("ovh", 2), ApplyOutcome::Conflict);
    store.record_apply(conflict.clone()).await.expect("writes");
    let applies = store.applies(name("ovh"), u32::MAX).await.expect("reads");
    assert_eq!((applies.len(), &applies[0], &applies[10_000]), (10_001, &conflict, &first));
    assert_eq!(store.last_applied(name("ovh")).await.expect("reads"), Some(first));
}

fn refused(number: i64) -> RefusedService {
    RefusedService {
        service: name(&format!("s{number}")),
        since: at(number),
        revision: Revision::new("second"),
        kept: (number > 1).then(|| Revision::new("first")),
        refused: Digest::of(b"what is declared"),
        message: "unknown module".to_owned(),
    }
}

#[tokio::test]
async fn removed_edges_are_forgotten_after_a_week() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for edge in ["ovh", "gone"] {
        let render = render(edge, if edge == "ovh" { 1 } else { 2 });
        store.record_render(render.clone()).await.expect("writes");
        store.record_apply(apply(&render, ApplyOutcome::Applied)).await.expect("writes");
        store.record_refused(name(edge), vec![refused(1), refused(2)]).await.expect("writes");
        store.record_refused(name(edge), vec![refused(2)]).await.expect("writes");
    }
    let day = 86_400;
    let declared: BTreeSet<EdgeName> = BTreeSet::from([name("ovh")]);
    for (days, is_kept) in [(6, true), (8, false)] {
        store.retain_edges(declared.clone(), at(days * day)).await.expect("writes");
        assert_eq!(store.last_applied(name("gone")).await.expect("reads").is_some(), is_kept, "after {days} days");
        assert_eq!(store.rendered(render("gone", 2).digest).await.expect("reads").is_some(), is_kept);
        let gone: &[RefusedService] = if is_kept { &[refused(2)] } else { &[] };
        assert_eq!(store.refused(name("gone")).await.expect("reads"), gone, "as long as what it ran");
        assert_eq!(store.refused(name("ovh")).await.expect("reads"), [refused(2)]);
        assert!(store.last_applied(name("ovh")).await.expect("reads").is_some(), "however old it is");
        assert!(store.rendered(render("ovh", 1).digest).await.expect("reads").is_some());
    }
}

#[tokio::test]
async fn transitions_are_bounded_in_number_and_age() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let many = (0..100_010).map(|number| transition("a", number / 1000, "flapping")).collect();
    store.record_transitions(many, vec![(name("a"), health(1))]).await.expect("writes");
    let kept = store.transitions(None, u32::MAX).await.expect("reads");
    assert_eq!((kept.len(), kept[0].at, kept[99_999].at), (100_000, at(100), at(0)));

    // A day short of a quarter later the old ones are still there, a day after it they are not.
    let day = 86_400;
    for (days, expected) in [(89, 100_000), (91, 2)] {
        store.record_transitions(vec![transition("b", days * day, "later")], Vec::new()).await.expect("writes");
        assert_eq!(store.transitions(None, u32::MAX).await.expect("reads").len(), expected, "after {days} days");
    }
    let oldest: Timestamp = store.transitions(None, 2).await.expect("reads")[1].at;
    assert_eq!(oldest, at(89 * day));
}
