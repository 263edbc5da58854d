//! `kill -9` loses nothing that was acknowledged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bascule::store::{RevisionOutcome, Store};

use super::process::{Process, say, state_of_child};
use super::sample::{Scratch, at, files, health, name, revision, transition};

const ROUNDS: u32 = 20;
/// Tasks of the child that write at once, so that commits are shared.
const WRITERS: u32 = 4;
/// One write in so many is a revision, up to so many of each task: fewer than 500 in all, which is what retention keeps.
const REVISION_EVERY: u32 = 16;
const REVISIONS_EACH: u32 = 6;
/// The longest that a child lives. Opening the file takes about 20 ms, so some die while they do.
const LIFE_MAX: Duration = Duration::from_millis(250);

/// The child of the test below, which writes until it is killed; by itself, that what the child writes can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_tasks_are_all_kept() {
    if let Some(state) = state_of_child() {
        write_numbered(&Store::open(&state).expect("opens"), u32::MAX).await;
        return;
    }
    let scratch = Scratch::new();
    let store = scratch.open();
    write_numbered(&store, 50).await;
    assert_eq!(kept(&store).await.len(), usize::try_from(WRITERS * 50).expect("small"));
}

/// Writes rows from several tasks at once, and says the id of each that was acknowledged.
async fn write_numbered(store: &Store, rows_each: u32) {
    let process = std::process::id();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..rows_each {
                let id = format!("{process}-{writer}-{number}");
                write_one(&store, writer, number, &id).await;
                say(&id);
            }
        });
    }
    tasks.join_all().await;
}

async fn write_one(store: &Store, writer: u32, number: u32, id: &str) {
    if number.is_multiple_of(REVISION_EVERY) && number / REVISION_EVERY < REVISIONS_EACH {
        let mut info = revision(number);
        id.clone_into(&mut info.subject);
        let files = files(number + writer * 1000);
        // Different outcomes make each a row of its own.
        let outcome = RevisionOutcome::Rejected { errors: writer, first: id.to_owned() };
        store.record_revision(info, files, outcome, at(1)).await.expect("writes");
    } else {
        let rows = vec![transition("a", 1, id)];
        store.record_transitions(rows, vec![(name("a"), health(1))]).await.expect("writes");
    }
}

/// The ids of all rows that are there.
async fn kept(store: &Store) -> BTreeSet<String> {
    let transitions = store.transitions(None, u32::MAX).await.expect("reads");
    let revisions = store.revisions(u32::MAX).await.expect("reads");
    let ids = transitions.into_iter().map(|row| row.reason);
    ids.chain(revisions.into_iter().map(|row| row.info.subject)).collect()
}

#[tokio::test]
async fn no_acknowledged_row_is_lost_by_a_kill() {
    let scratch = Scratch::new();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut acknowledged = BTreeSet::new();
    let mut died_at_work = 0;
    for round in 0..ROUNDS {
        let process = Process::start("store::durability::writes_of_many_tasks_are_all_kept", &scratch.path());
        let death = Instant::now() + LIFE_MAX.mul_f64(random.f64());
        let mut heard = Vec::new();
        while let Some(left) = death.checked_duration_since(Instant::now()) {
            heard.extend(process.hear(left));
        }
        heard.extend(process.kill());
        died_at_work += u32::from(!heard.is_empty());
        acknowledged.extend(heard);

        let store = scratch.open();
        store.integrity().await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let kept = kept(&store).await;
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert_eq!(lost, [] as [&String; 0], "round {round}");
        store.close().await;
    }
    println!("{} rows acknowledged, {died_at_work} of {ROUNDS} children killed at work", acknowledged.len());
    assert!(died_at_work >= ROUNDS / 4 && acknowledged.len() > 100, "the children hardly lived");
}
