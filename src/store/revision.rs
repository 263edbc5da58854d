use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::retention;
use crate::core::model::{Digest, FileSet, Revision, RevisionInfo, Timestamp};

/// What was decided on a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionOutcome {
    /// It is good, and was served.
    Accepted,
    /// It has errors, and was not.
    Rejected {
        /// How many errors.
        errors: u32,
        /// The first of them.
        first: String,
    },
}

/// A revision as it is kept, without its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRow {
    /// Which revision.
    pub info: RevisionInfo,
    /// What was decided on it.
    pub outcome: RevisionOutcome,
    /// When it was read.
    pub read_at: Timestamp,
}

/// Keeps a revision. One that is read again, as after a rollback, moves to the front.
pub(super) fn record(
    db: &Connection,
    info: &RevisionInfo,
    files: &FileSet,
    outcome: &RevisionOutcome,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let RevisionInfo { id, author, subject, committed_at } = info;
    let (accepted, errors, first) = match outcome {
        RevisionOutcome::Accepted => (true, 0, None),
        RevisionOutcome::Rejected { errors, first } => (false, *errors, Some(first)),
    };
    db.prepare_cached("DELETE FROM revisions WHERE id = ?1")?.execute([id.as_str()])?;
    db.prepare_cached(
        "INSERT INTO revisions (id, author, subject, committed_at, read_at, accepted, errors, first_error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id.as_str(),
        author,
        subject,
        committed_at.unix_millis(),
        at.unix_millis(),
        accepted,
        errors,
        first
    ])?;
    let mut blob = db.prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?;
    let mut file = db.prepare_cached("INSERT INTO revision_files (revision, path, digest) VALUES (?1, ?2, ?3)")?;
    for (path, bytes) in files.iter() {
        let digest = Digest::of(bytes);
        blob.execute(params![digest.as_str(), &bytes[..]])?;
        file.execute(params![id.as_str(), path, digest.as_str()])?;
    }
    retention::revisions(db)
}

pub(super) fn last_good(db: &Connection) -> rusqlite::Result<Option<(RevisionInfo, FileSet)>> {
    let mut newest = db.prepare_cached(
        "SELECT id, author, subject, committed_at FROM revisions WHERE accepted ORDER BY seq DESC LIMIT 1",
    )?;
    let Some(info) = newest.query_row([], info).optional()? else { return Ok(None) };
    let mut files = db.prepare_cached(
        "SELECT path, bytes FROM revision_files JOIN blobs USING (digest) WHERE revision = ?1 ORDER BY path",
    )?;
    let rows = files.query_map([info.id.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let files = rows.collect::<rusqlite::Result<FileSet>>()?;
    Ok(Some((info, files)))
}

pub(super) fn newest(db: &Connection, limit: u32) -> rusqlite::Result<Vec<RevisionRow>> {
    let mut query = db.prepare_cached(
        "SELECT id, author, subject, committed_at, accepted, errors, first_error, read_at
         FROM revisions ORDER BY seq DESC LIMIT ?1",
    )?;
    let rows = query.query_map([limit], |row| {
        let outcome = if row.get(4)? {
            RevisionOutcome::Accepted
        } else {
            let first: Option<String> = row.get(6)?;
            RevisionOutcome::Rejected { errors: row.get(5)?, first: first.unwrap_or_default() }
        };
        Ok(RevisionRow { info: info(row)?, outcome, read_at: Timestamp::from_unix_millis(row.get(7)?) })
    })?;
    rows.collect()
}

fn info(row: &Row<'_>) -> rusqlite::Result<RevisionInfo> {
    Ok(RevisionInfo {
        id: Revision::new(row.get::<_, String>(0)?),
        author: row.get(1)?,
        subject: row.get(2)?,
        committed_at: Timestamp::from_unix_millis(row.get(3)?),
    })
}
