//! What is applied, by way of the state file.

use std::sync::Arc;

use bascule::core::inventory::load;
use bascule::core::model::RevisionInfo;
use bascule::core::routing::{Inputs, plan};
use bascule::store::{RevisionOutcome, Served, Store};

use super::engine::BEGIN;
use super::{drawn_live, for_pairs};

/// A file for each of them, which takes its time.
const STORED: u64 = 60;

#[test]
fn what_was_applied_is_known_after_a_restart() {
    for_pairs(STORED, |pair| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(applied_and_restarted(pair));
    });
}

async fn applied_and_restarted(mut pair: super::Pair) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bascule.db");
    let store = Store::open(&path).expect("opens");
    let mut live = drawn_live(&pair.desired[0], &mut pair.rng);
    let [before, after] = &pair.desired;
    live.planned = plan(&live.inputs(before)).effective;
    let known = live.observed.follow(before, after);
    let first = plan(&live.inputs(before));
    let second = plan(&Inputs { observed: &known, previous: Some(&first.effective), ..live.inputs(after) });
    for (desired, files, plan) in [(before, &pair.files[0], &first), (after, &pair.files[1], &second)] {
        let info = RevisionInfo {
            id: desired.revision.clone(),
            author: String::new(),
            subject: String::new(),
            committed_at: BEGIN,
        };
        let files = Arc::new(files.clone());
        store.record_revision(info, files, RevisionOutcome::Accepted, BEGIN).await.expect("writes");
        store.record_served(Arc::new(desired.clone()), Arc::new(plan.clone())).await.expect("writes");
    }
    store.close().await;

    let store = Store::open(&path).expect("opens again");
    let (info, files) = store.last_good_revision().await.expect("reads").expect("there is one");
    assert_eq!(load(&files, info.id).desired.as_ref(), Some(after));
    assert_eq!(store.served().await.expect("reads"), Some(Served::of(after, &second)));
    let remembered = store.choices().await.expect("reads");
    let again = plan(&Inputs { observed: &known, previous: None, remembered: &remembered, ..live.inputs(after) });
    for (name, service) in &second.effective.services {
        assert_eq!(again.effective.services[name].choice, service.choice, "{name}: a restart chooses nothing anew");
    }
    store.close().await;
}
