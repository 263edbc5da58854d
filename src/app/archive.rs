//! What the state file knows of the past, for who asks.

use crate::controller::{Kept, kept, unread};
use crate::core::inventory::{Desired, load};
use crate::core::review::{self, review};
use crate::core::routing::Refusal;
use crate::core::status::{EntryDto, HistoryDto, QuarantinedDto, RevisionDto, StepDto};
use crate::store::{RevisionOutcome, RevisionRow, Store};

/// What happened to what is served, newest first.
pub(super) async fn history(store: &Store, limit: u32) -> Result<HistoryDto, Refusal> {
    let rows = store.revisions(limit).await.map_err(|error| unread(&error))?;
    let steps = store.steps().await.map_err(|error| unread(&error))?;
    let mut entries: Vec<_> = steps.iter().rev().map(|step| EntryDto::Step(StepDto::of(step))).collect();
    entries.extend(rows.into_iter().map(entry));
    // Stable: a rollback comes after the revision that it brought back at the same moment.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at()));
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(HistoryDto { entries })
}

fn entry(row: RevisionRow) -> EntryDto {
    let RevisionRow { info, outcome, read_at } = row;
    let (accepted, reason, quarantine) = match outcome {
        RevisionOutcome::Accepted => (true, String::new(), Vec::new()),
        RevisionOutcome::Composed { quarantine } => (true, String::new(), quarantine),
        RevisionOutcome::Rejected { errors: _, first } => (false, first, Vec::new()),
    };
    let quarantine = quarantine.iter().map(QuarantinedDto::of).collect();
    EntryDto::Revision { at: read_at, revision: RevisionDto::of(&info), accepted, reason, quarantine }
}

/// How one revision that was read differs from another, for people.
pub(super) async fn diff(store: &Store, from: &str, to: &str) -> Result<String, Refusal> {
    let (from, to) = (desired(store, from).await?, desired(store, to).await?);
    // Thousands of services take a second.
    let compared = tokio::task::spawn_blocking(move || review::text(&review(&from, &to))).await;
    compared.map_err(|_| Refusal::not_now("comparing ended in a panic".to_owned()))
}

async fn desired(store: &Store, named: &str) -> Result<Desired, Refusal> {
    let Kept { info, files, quarantine: _ } = kept(store, named).await?;
    let loaded = tokio::task::spawn_blocking(move || load(&files, info.id)).await;
    let faulty = || Refusal::not_now(format!("revision `{named}` has errors, so it cannot be compared"));
    loaded.ok().and_then(|loaded| loaded.desired).ok_or_else(faulty)
}
