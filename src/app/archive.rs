//! What the state file knows of the past, for who asks.

use crate::controller::{Kept, kept, unread};
use crate::core::inventory::{Desired, load};
use crate::core::model::{FileSet, Revision, RevisionInfo};
use crate::core::review::{self, review};
use crate::core::routing::Refusal;
use crate::core::status::{EntryDto, HistoryDto, PassDto, PastDto, QuarantinedDto, RevisionDto, StepDto, fault_of};
use crate::git::prefix;
use crate::store::{Apply, RevisionOutcome, RevisionRow, Store};

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

/// All that is known of one revision of an inventory in this folder.
pub(super) async fn show(store: &Store, named: &str, folder: &str) -> Result<PastDto, Refusal> {
    let Kept { info, files, quarantine } = kept(store, named).await?;
    let rows = store.revisions(u32::MAX).await.map_err(|error| unread(&error))?;
    let applies = store.applies_of(info.id.clone()).await.map_err(|error| unread(&error))?;
    // Newest first: what stands behind its first reading was there before.
    let earlier = rows.iter().rposition(|row| row.info.id == info.id).map_or(&[][..], |at| &rows[at + 1..]);
    let before = earlier.iter().find(|row| row.outcome.quarantine().is_some()).map(|row| row.info.clone());
    let earlier_files = match &before {
        Some(before) => {
            store.revision(before.id.clone()).await.map_err(|error| unread(&error))?.map(|(_, files)| files)
        }
        None => None,
    };
    let (revision, readings) = (info.clone(), rows.into_iter().filter(|row| row.info.id == info.id).map(entry));
    let readings = readings.collect();
    let earlier = before.as_ref().map(|info| info.id.clone()).zip(earlier_files);
    let prefix = prefix(folder);
    let (found, changes) = compared(move || tell(&info, (&files, &prefix), earlier)).await?;
    // What is kept of it is without them.
    let mut faults: Vec<String> = quarantine.unwrap_or_default().iter().map(fault_of).collect();
    faults.extend(found);
    Ok(PastDto {
        revision: RevisionDto::of(&revision),
        readings,
        passes: applies.into_iter().map(pass).collect(),
        before: before.as_ref().map(RevisionDto::of),
        changes,
        faults,
    })
}

/// What is wrong with a revision, and what it did beside the one that was served before.
fn tell(
    info: &RevisionInfo,
    (files, prefix): (&FileSet, &str),
    earlier: Option<(Revision, FileSet)>,
) -> (Vec<String>, Option<String>) {
    let loaded = load(files, info.id.clone());
    let faults = loaded.diagnostics.iter().map(|it| it.told(prefix)).collect();
    let earlier = earlier.and_then(|(id, files)| load(&files, id).desired);
    (faults, earlier.zip(loaded.desired).map(|(before, after)| review::text(&review(&before, &after))))
}

fn pass(apply: Apply) -> PassDto {
    let Apply { edge, digest, revision: _, generation: _, trigger, outcome, started_at, finished_at } = apply;
    let (outcome, message) = outcome.words();
    let took_ms = u64::try_from(finished_at.since(started_at).as_millis()).unwrap_or(u64::MAX);
    let (edge, digest, message) = (edge.to_string(), digest.to_string(), message.to_owned());
    PassDto { edge, at: finished_at, outcome: outcome.to_owned(), message, trigger, digest, took_ms }
}

fn entry(row: RevisionRow) -> EntryDto {
    let RevisionRow { info, outcome, read_at } = row;
    let held = matches!(outcome, RevisionOutcome::Held { .. });
    let (accepted, reason, quarantine) = match outcome {
        RevisionOutcome::Accepted => (true, String::new(), Vec::new()),
        RevisionOutcome::Composed { quarantine } => (true, String::new(), quarantine),
        RevisionOutcome::Held { reason } | RevisionOutcome::Rejected { errors: _, first: reason } => {
            (false, reason, Vec::new())
        }
    };
    let quarantine = quarantine.iter().map(QuarantinedDto::of).collect();
    EntryDto::Revision { at: read_at, revision: RevisionDto::of(&info), accepted, held, reason, quarantine }
}

/// How one revision that was read differs from another, for people.
pub(super) async fn diff(store: &Store, from: &str, to: &str) -> Result<String, Refusal> {
    let (from, to) = (desired(store, from).await?, desired(store, to).await?);
    compared(move || review::text(&review(&from, &to))).await
}

/// Compares on a thread of its own: thousands of services take a second.
async fn compared<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let compared = tokio::task::spawn_blocking(work).await;
    compared.map_err(|_| Refusal::not_now("comparing ended in a panic".to_owned()))
}

async fn desired(store: &Store, named: &str) -> Result<Desired, Refusal> {
    let Kept { info, files, quarantine: _ } = kept(store, named).await?;
    let loaded = tokio::task::spawn_blocking(move || load(&files, info.id)).await;
    let faulty = || Refusal::not_now(format!("revision `{named}` has errors, so it cannot be compared"));
    loaded.ok().and_then(|loaded| loaded.desired).ok_or_else(faulty)
}
