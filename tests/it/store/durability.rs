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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer() {
    let Some(state) = state_of_child() else { return };
    let store = Store::open(&state).expect("opens");
    let process = std::process::id();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0_u32.. {
                let id = format!("{process}-{writer}-{number}");
                if number % REVISION_EVERY == 0 && number / REVISION_EVERY < REVISIONS_EACH {
                    let mut info = revision(number);
                    info.subject.clone_from(&id);
                    let files = files(number + writer * 1000);
                    // Different outcomes make each a row of its own.
                    let outcome = RevisionOutcome::Rejected { errors: writer, first: id.clone() };
                    store.record_revision(info, files, outcome, at(1)).await.expect("writes");
                } else {
                    let rows = vec![transition("a", 1, &id)];
                    store.record_transitions(rows, vec![(name("a"), health(1))]).await.expect("writes");
                }
                say(&id);
            }
        });
    }
    tasks.join_next().await.expect("a task").expect("writes until it is killed");
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
        let process = Process::start("store::durability::writer", &scratch.path());
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
        let transitions = store.transitions(None, u32::MAX).await.expect("reads");
        let revisions = store.revisions(u32::MAX).await.expect("reads");
        let mut kept: BTreeSet<_> = transitions.into_iter().map(|row| row.reason).collect();
        kept.extend(revisions.into_iter().map(|row| row.info.subject));
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert_eq!(lost, [] as [&String; 0], "round {round}");
        store.close().await;
    }
    println!("{} rows acknowledged, {died_at_work} of {ROUNDS} children killed at work", acknowledged.len());
    assert!(died_at_work >= ROUNDS / 4 && acknowledged.len() > 100, "the children hardly lived");
}
