//! Sizes that are meant to fit. Times are printed, not asserted: they are the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bascule::core::model::{BackendName, FileSet};
use bascule::store::RevisionOutcome;

use super::sample::{Scratch, at, health, name, reopen, revision, served, transition};

const SERVICES: usize = 10_000;
const BACKENDS: usize = 30_000;

async fn time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let value = work.await;
    println!("{what}: {} ms", began.elapsed().as_millis());
    value
}

/// A file of 300 bytes, unlike every other one.
fn content(number: u32) -> Vec<u8> {
    format!("{number:0300}").into_bytes()
}

#[tokio::test]
async fn thirty_thousand_backends_fit() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let names: Vec<BackendName> = (0..BACKENDS).map(|number| name(&format!("b{number:06}"))).collect();
    let rows: Vec<_> = (0..).zip(&names).map(|(number, backend)| (backend.clone(), health(number))).collect();
    for what in ["health of 30,000 backends, new", "health of 30,000 backends, again"] {
        time(what, store.record_health(rows.clone())).await.expect("writes");
    }
    let read = time("health of 30,000 backends, read", store.health()).await.expect("reads");
    assert!(read == rows.into_iter().collect(), "they differ");

    let mut all = served(SERVICES, BACKENDS / SERVICES);
    time("served 30,000 backends, new", store.record_served_rows(all.clone())).await.expect("writes");
    all.backends[777].in_rotation = true;
    time("served 30,000 backends, one flipped", store.record_served_rows(all.clone())).await.expect("writes");
    assert!(store.served().await.expect("reads").is_some_and(|read| read == all), "they differ");

    let mut files: FileSet =
        (0..).zip(&names).map(|(number, backend)| (format!("backends/{backend}.yaml"), content(number))).collect();
    for (number, what) in [(1, "revision of 30,000 files, new"), (2, "revision of 30,000 files, one changed")] {
        files.insert("backends/b000777.yaml", number.to_string().into_bytes());
        let recorded = store.record_revision(revision(number), files.clone().into(), RevisionOutcome::Accepted, at(1));
        time(what, recorded).await.expect("writes");
    }
    let store = time("closed and opened again", reopen(store)).await;
    let last_good = time("last good revision of 30,000 files", store.last_good_revision()).await.expect("reads");
    assert!(last_good.is_some_and(|(_, read)| read == files), "they differ");
    store.close().await;
    assert_eq!(scratch.count("SELECT count(*) FROM revision_files"), 30_001, "one commit changes one row");
    println!("the file: {} MB", std::fs::metadata(scratch.path()).expect("a file").len() >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_writes_and_never_wait_for_writers() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, done) = (store.clone(), Arc::clone(&done));
        readers.spawn(async move {
            let (mut reads, mut newest_before) = (0_u32, 0);
            while !done.load(Ordering::Relaxed) {
                // Each write has ten rows of one number; a reader sees all ten, and never an older state than before.
                let rows = store.transitions(None, 10).await.expect("reads");
                if let Some(first) = rows.first() {
                    assert!(rows.iter().all(|row| row.reason == first.reason), "half a write: {rows:?}");
                    let newest: u32 = first.reason.parse().expect("a number");
                    assert!(newest >= newest_before, "{newest} after {newest_before}");
                    newest_before = newest;
                }
                reads += 1;
            }
            reads
        });
    }
    for number in 0..200 {
        let rows = (0..10).map(|second| transition("a", second, &number.to_string())).collect();
        store.record_transitions(rows, vec![(name("a"), health(number))]).await.expect("writes");
        // What was acknowledged is seen by the next read.
        assert_eq!(store.transitions(None, 1).await.expect("reads")[0].reason, number.to_string());
    }
    done.store(true, Ordering::Relaxed);
    let reads: Vec<u32> = readers.join_all().await;
    println!("reads meanwhile: {reads:?}");
    assert!(reads.iter().all(|count| *count > 0));
}
