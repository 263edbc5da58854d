//! Revisions that are in the state file, for who names one of them.

use super::chain;
use crate::core::inventory::Quarantined;
use crate::core::model::{FileSet, RevisionInfo};
use crate::core::routing::Refusal;
use crate::core::steering::pick;
use crate::store::{Store, StoreError};

/// A revision of the state file.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Which one.
    pub info: RevisionInfo,
    /// Its files.
    pub files: FileSet,
    /// What it was served without; none where it was never served.
    pub quarantine: Option<Vec<Quarantined>>,
}

/// The revision that somebody names, by its id or enough of its beginning.
pub async fn kept(store: &Store, named: &str) -> Result<Kept, Refusal> {
    let rows = store.revisions(u32::MAX).await.map_err(|error| unread(&error))?;
    let id = pick(named, rows.iter().map(|row| &row.info.id))?;
    // As its files, those of the last time that it was served.
    let served = rows.iter().filter(|row| row.info.id == *id).find_map(|row| row.outcome.quarantine());
    let quarantine = served.map(<[_]>::to_vec);
    let gone = || Refusal::unknown(format!("revision {} is not kept in the state file any more", id.short()));
    let (info, files) = store.revision(id.clone()).await.map_err(|error| unread(&error))?.ok_or_else(gone)?;
    Ok(Kept { info, files, quarantine })
}

/// Nothing can be said of the past.
pub fn unread(error: &StoreError) -> Refusal {
    Refusal::not_now(format!("the state file cannot be read: {}", chain(error)))
}
