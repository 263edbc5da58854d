use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::retention;
use crate::core::model::{Digest, EdgeName, Generation, Revision, Timestamp};

/// A rendered configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// The edge that it is for.
    pub edge: EdgeName,
    /// Hash of the bytes.
    pub digest: Digest,
    /// The configuration as JSON.
    pub bytes: Arc<[u8]>,
    /// The revision that it was rendered from.
    pub revision: Revision,
    /// The generation that it was rendered from.
    pub generation: Generation,
    /// When.
    pub at: Timestamp,
}

/// A pass over an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// The edge.
    pub edge: EdgeName,
    /// What it should run.
    pub digest: Digest,
    /// The revision that this was rendered from.
    pub revision: Revision,
    /// The generation that this was rendered from.
    pub generation: Generation,
    /// What woke the worker.
    pub trigger: String,
    /// What came of it.
    pub outcome: ApplyOutcome,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What came of a pass over an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It runs it now.
    Applied,
    /// It ran it already.
    Unchanged,
    /// It refused.
    Rejected {
        /// Caddy's own words.
        message: String,
    },
    /// A second writer spoiled it.
    Conflict,
    /// It is not known to run it.
    Failed {
        /// Why.
        message: String,
    },
}

impl ApplyOutcome {
    fn columns(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Applied => ("applied", None),
            Self::Unchanged => ("unchanged", None),
            Self::Rejected { message } => ("rejected", Some(message)),
            Self::Conflict => ("conflict", None),
            Self::Failed { message } => ("failed", Some(message)),
        }
    }

    fn from_columns(outcome: &str, message: Option<String>) -> Option<Self> {
        let message = message.unwrap_or_default();
        Some(match outcome {
            "applied" => Self::Applied,
            "unchanged" => Self::Unchanged,
            "rejected" => Self::Rejected { message },
            "conflict" => Self::Conflict,
            "failed" => Self::Failed { message },
            _ => return None,
        })
    }
}

pub(super) fn record_render(db: &Connection, render: &Render) -> rusqlite::Result<()> {
    let Render { edge, digest, bytes, revision, generation, at } = render;
    db.prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
        .execute(params![digest.as_str(), &bytes[..]])?;
    db.prepare_cached("INSERT INTO renders (edge, digest, revision, generation, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            edge.as_str(),
            digest.as_str(),
            revision.as_str(),
            generation.0.cast_signed(),
            at.unix_millis()
        ])?;
    retention::renders(db, edge.as_str())
}

pub(super) fn rendered(db: &Connection, digest: &Digest) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?;
    query.query_row([digest.as_str()], |row| row.get(0)).optional()
}

pub(super) fn record(db: &Connection, apply: &Apply) -> rusqlite::Result<()> {
    let Apply { edge, digest, revision, generation, trigger, outcome, started_at, finished_at } = apply;
    let (outcome, message) = outcome.columns();
    db.prepare_cached(
        "INSERT INTO applies
             (edge, digest, revision, generation, trigger, outcome, message, started_at, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        edge.as_str(),
        digest.as_str(),
        revision.as_str(),
        generation.0.cast_signed(),
        trigger,
        outcome,
        message,
        started_at.unix_millis(),
        finished_at.unix_millis()
    ])?;
    retention::applies(db, edge.as_str())
}

const COLUMNS: &str = "SELECT edge, digest, revision, generation, trigger, outcome, message, started_at, finished_at \
                       FROM applies WHERE edge = ?1";

pub(super) fn newest(db: &Connection, edge: &EdgeName, limit: u32) -> rusqlite::Result<Vec<Apply>> {
    let mut query = db.prepare_cached(&format!("{COLUMNS} ORDER BY seq DESC LIMIT ?2"))?;
    query.query_map((edge.as_str(), limit), from_row)?.collect()
}

pub(super) fn last_applied(db: &Connection, edge: &EdgeName) -> rusqlite::Result<Option<Apply>> {
    let succeeded = "AND outcome IN ('applied', 'unchanged') ORDER BY seq DESC LIMIT 1";
    let mut query = db.prepare_cached(&format!("{COLUMNS} {succeeded}"))?;
    query.query_row([edge.as_str()], from_row).optional()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Apply> {
    let edge: String = row.get(0)?;
    let outcome: String = row.get(5)?;
    let unknown = |column, error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error);
    Ok(Apply {
        edge: edge.parse().map_err(|error| unknown(0, Box::new(error)))?,
        digest: Digest::from_stored(row.get::<_, String>(1)?),
        revision: Revision::new(row.get::<_, String>(2)?),
        generation: Generation(row.get::<_, i64>(3)?.cast_unsigned()),
        trigger: row.get(4)?,
        outcome: ApplyOutcome::from_columns(&outcome, row.get(6)?).ok_or_else(|| unknown(5, outcome.into()))?,
        started_at: Timestamp::from_unix_millis(row.get(7)?),
        finished_at: Timestamp::from_unix_millis(row.get(8)?),
    })
}
