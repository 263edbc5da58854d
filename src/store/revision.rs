use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Params, Row, ffi, params};

use super::column::Json;
use super::{Store, StoreError};
use crate::core::inventory::Quarantined;
use crate::core::model::{Digest, FileSet, Revision, RevisionInfo, Timestamp};

/// Revisions kept, beside the last good one: months of a busy repository. Git has the whole history.
const KEPT: u32 = 500;

/// What was decided on a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionOutcome {
    /// It may be served.
    Accepted,
    /// It may be served but for some services, which stay as they were, or out. The files are those that are served then.
    Composed {
        /// These services, by name.
        quarantine: Vec<Quarantined>,
    },
    /// It takes out much, and is not served until somebody says that this is meant.
    Held {
        /// What it takes out.
        reason: String,
    },
    /// It has errors, and is not.
    Rejected {
        /// How many errors; at least one.
        errors: u32,
        /// The one that is in the way, and how many others there are.
        first: String,
    },
}

impl RevisionOutcome {
    /// The outcome of a revision that is served.
    pub fn served(quarantine: Vec<Quarantined>) -> Self {
        if quarantine.is_empty() { Self::Accepted } else { Self::Composed { quarantine } }
    }

    /// The services that a revision is served without; none where it is not served.
    pub fn quarantine(&self) -> Option<&[Quarantined]> {
        match self {
            Self::Accepted => Some(&[]),
            Self::Composed { quarantine } => Some(quarantine),
            Self::Held { .. } | Self::Rejected { .. } => None,
        }
    }
}

/// A revision as it was recorded, without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRow {
    /// Which revision.
    pub info: RevisionInfo,
    /// What was decided on it.
    pub outcome: RevisionOutcome,
    /// When it was read.
    pub read_at: Timestamp,
}

impl Store {
    /// Keeps a revision with its raw files; await it before anything is served from the revision. The newest revision
    /// recorded again is still one row; one that comes back after others gets a second row, and is the newest again.
    pub async fn record_revision(
        &self,
        info: RevisionInfo,
        files: Arc<FileSet>,
        outcome: RevisionOutcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let digests = self.digests(&files).await?;
        let row = RevisionRow { info, outcome, read_at: at };
        self.write("write a revision", move |connection| record(connection, &row, &files, &digests)).await
    }

    /// The digest of each file.
    pub(super) async fn digests(&self, files: &Arc<FileSet>) -> Result<BTreeMap<String, Digest>, StoreError> {
        // Up to 64 MB are hashed, and neither the runtime nor a transition's write shall wait for it.
        let hashed = Arc::clone(files);
        self.blocking(move || hashed.iter().map(|(path, bytes)| (path.to_owned(), Digest::of(bytes))).collect()).await
    }

    /// A revision with its files, as it was served last, or else recorded last; none where it is not kept.
    pub async fn revision(&self, id: Revision) -> Result<Option<(RevisionInfo, FileSet)>, StoreError> {
        self.read("read a revision", move |connection| {
            let served = newest_where(connection, "id = ?1 AND accepted = 1", [&id])?;
            served.map_or_else(|| newest_where(connection, "id = ?1", [&id]), |served| Ok(Some(served)))
        })
        .await
    }

    /// The services that the newest accepted revision is served without.
    pub async fn last_quarantine(&self) -> Result<Vec<Quarantined>, StoreError> {
        self.read("read who is in quarantine", |connection| {
            let mut query = connection
                .prepare_cached("SELECT quarantine FROM revisions WHERE accepted = 1 ORDER BY seq DESC LIMIT 1")?;
            Ok(query
                .query_row([], |row| row.get::<_, Json<Vec<Quarantined>>>(0))
                .optional()?
                .map_or_else(Vec::new, |it| it.0))
        })
        .await
    }

    /// The newest accepted revision with its files.
    pub async fn last_good_revision(&self) -> Result<Option<(RevisionInfo, FileSet)>, StoreError> {
        self.read("read the last good revision", last_good).await
    }

    /// The newest revisions, newest first.
    pub async fn revisions(&self, limit: u32) -> Result<Vec<RevisionRow>, StoreError> {
        self.read("read revisions", move |connection| Ok(newest(connection, limit)?.into_values().rev().collect()))
            .await
    }
}

pub(super) fn record(
    connection: &Connection,
    row: &RevisionRow,
    files: &FileSet,
    digests: &BTreeMap<String, Digest>,
) -> rusqlite::Result<()> {
    let newest = newest(connection, 1)?.pop_last();
    let before = newest_files(connection)?;
    let gone: Vec<_> = before.iter().filter(|(path, digest)| digests.get(*path) != Some(*digest)).collect();
    let new: Vec<_> = digests.iter().filter(|(path, digest)| before.get(*path) != Some(*digest)).collect();
    let seq_before = match newest {
        Some((_, newest))
            if newest.info.id == row.info.id && newest.outcome == row.outcome && gone.is_empty() && new.is_empty() =>
        {
            return Ok(());
        }
        Some((seq, _)) => seq,
        None => 0,
    };
    let seq = seq_before + 1;
    insert(connection, seq, row)?;
    let mut end =
        connection.prepare_cached("UPDATE revision_files SET last_seq = ?1 WHERE path = ?2 AND last_seq IS NULL")?;
    for (path, _) in gone {
        end.execute(params![seq_before, path])?;
    }
    let mut blob = connection
        .prepare_cached("INSERT INTO blobs (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING")?;
    let mut begin = connection.prepare_cached(
        "INSERT INTO revision_files (path, first_seq, blob) SELECT ?1, ?2, id FROM blobs WHERE digest = ?3",
    )?;
    for (path, digest) in new {
        blob.execute(params![digest, files.get(path)])?;
        begin.execute(params![path, seq, digest])?;
    }
    forget(connection)
}

fn insert(connection: &Connection, seq: i64, row: &RevisionRow) -> rusqlite::Result<()> {
    let RevisionRow { info: RevisionInfo { id, author, subject, committed_at }, outcome, read_at } = row;
    let (accepted, errors, first) = match outcome {
        RevisionOutcome::Accepted | RevisionOutcome::Composed { .. } => (true, 0, ""),
        // It is held for no error: that is how it is known again.
        RevisionOutcome::Held { reason } => (false, 0, reason.as_str()),
        RevisionOutcome::Rejected { errors, first } => (false, *errors, first.as_str()),
    };
    let quarantine = Json(outcome.quarantine().unwrap_or_default());
    connection
        .prepare_cached(
            "INSERT INTO revisions (seq, id, author, subject, committed_at, read_at, accepted, errors, first_error, quarantine)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![seq, id, author, subject, committed_at, read_at, accepted, errors, first, quarantine])
        .map(drop)
}

/// The last good revision is kept however old it is, and so is every file of a revision that is kept.
fn forget(connection: &Connection) -> rusqlite::Result<()> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM revisions
             WHERE seq <= (SELECT seq FROM revisions ORDER BY seq DESC LIMIT 1 OFFSET ?1)
               AND seq IS NOT (SELECT max(seq) FROM revisions WHERE accepted = 1)",
        )?
        .execute([KEPT])?;
    if forgotten > 0 {
        connection
            .prepare_cached(
                "DELETE FROM revision_files
                 WHERE last_seq IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM revisions WHERE seq BETWEEN first_seq AND last_seq)",
            )?
            .execute([])?;
        connection
            .prepare_cached(
                "DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM revision_files WHERE revision_files.blob = blobs.id)",
            )?
            .execute([])?;
    }
    Ok(())
}

/// Paths and digests of the newest revision's files.
fn newest_files(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Digest>> {
    connection
        .prepare_cached(
            "SELECT path, digest FROM revision_files JOIN blobs ON blobs.id = revision_files.blob
             WHERE last_seq IS NULL",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn last_good(connection: &Connection) -> rusqlite::Result<Option<(RevisionInfo, FileSet)>> {
    newest_where(connection, "accepted = 1", [])
}

/// The newest revision of those that a condition is true of, with its files.
fn newest_where(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> rusqlite::Result<Option<(RevisionInfo, FileSet)>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT id, author, subject, committed_at, seq FROM revisions WHERE {condition} ORDER BY seq DESC LIMIT 1"
    ))?;
    let found = query.query_row(params, |row| Ok((info(row)?, row.get::<_, i64>(4)?))).optional()?;
    let Some((info, seq)) = found else { return Ok(None) };
    Ok(Some((info, files(connection, seq)?)))
}

/// The files of the revision at a place in the order.
fn files(connection: &Connection, seq: i64) -> rusqlite::Result<FileSet> {
    let mut query = connection.prepare_cached(
        "SELECT path, digest, bytes FROM revision_files JOIN blobs ON blobs.id = revision_files.blob
         WHERE first_seq <= ?1 AND (last_seq IS NULL OR last_seq >= ?1)",
    )?;
    let mut rows = query.query([seq])?;
    let mut files = FileSet::new();
    while let Some(row) = rows.next()? {
        let (path, digest, bytes): (String, Digest, Arc<[u8]>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // SQLite has no checksums of its own, and an edge is about to be given what these bytes say.
        if Digest::of(&bytes) != digest {
            let words = format!("the bytes of {path} are not those that were written");
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(words)));
        }
        files.insert(path, bytes);
    }
    Ok(files)
}

/// The newest revisions by their place in the order.
fn newest(connection: &Connection, limit: u32) -> rusqlite::Result<BTreeMap<i64, RevisionRow>> {
    connection
        .prepare_cached(
            "SELECT id, author, subject, committed_at, seq, accepted, errors, first_error, read_at, quarantine
             FROM revisions ORDER BY seq DESC LIMIT ?1",
        )?
        .query_map([limit], |row| {
            let outcome = match (row.get(5)?, row.get(6)?) {
                (true, _) => RevisionOutcome::served(row.get::<_, Json<_>>(9)?.0),
                (false, 0) => RevisionOutcome::Held { reason: row.get(7)? },
                (false, errors) => RevisionOutcome::Rejected { errors, first: row.get(7)? },
            };
            Ok((row.get(4)?, RevisionRow { info: info(row)?, outcome, read_at: row.get(8)? }))
        })?
        .collect()
}

fn info(row: &Row<'_>) -> rusqlite::Result<RevisionInfo> {
    Ok(RevisionInfo { id: row.get(0)?, author: row.get(1)?, subject: row.get(2)?, committed_at: row.get(3)? })
}
