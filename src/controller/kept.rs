//! Revisions that are in the state file, for who names one of them.

use super::chain;
use crate::core::model::{FileSet, RevisionInfo};
use crate::core::routing::Refusal;
use crate::core::steering::pick;
use crate::store::{RevisionOutcome, Store, StoreError};

/// A revision of the state file.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Which one.
    pub info: RevisionInfo,
    /// Its files.
    pub files: FileSet,
    /// True where it was served at some time.
    pub was_served: bool,
}

/// The revision that somebody names, by its id or enough of its beginning.
pub async fn kept(store: &Store, named: &str) -> Result<Kept, Refusal> {
    let rows = store.revisions(u32::MAX).await.map_err(|error| unread(&error))?;
    let id = pick(named, rows.iter().map(|row| &row.info.id))?;
    let was_served = rows.iter().any(|row| row.info.id == *id && row.outcome == RevisionOutcome::Accepted);
    let gone = || Refusal::unknown(format!("revision {} is not kept in the state file any more", id.short()));
    let (info, files) = store.revision(id.clone()).await.map_err(|error| unread(&error))?.ok_or_else(gone)?;
    Ok(Kept { info, files, was_served })
}

/// Nothing can be said of the past.
pub fn unread(error: &StoreError) -> Refusal {
    Refusal::not_now(format!("the state file cannot be read: {}", chain(error)))
}
