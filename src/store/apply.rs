use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Store, StoreError};
use crate::core::model::{Digest, EdgeName, Generation, Revision, Timestamp};

/// Passes kept for each edge, beside the newest that succeeded: a day of a pass every ten seconds, and some more.
const KEPT: u32 = 10_000;

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
    /// Why the pass was made.
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
    /// The edge runs it now.
    Applied,
    /// The edge ran it already.
    Unchanged,
    /// The edge refused it.
    Rejected {
        /// Caddy's own words.
        message: String,
    },
    /// The edge is not known to run it.
    Failed {
        /// Why.
        message: String,
    },
    /// Somebody else wrote to the edge meanwhile.
    Conflict,
}

impl ApplyOutcome {
    /// What came of it in one word, and why where there is more to say.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Applied => ("applied", ""),
            Self::Unchanged => ("unchanged", ""),
            Self::Rejected { message } => ("rejected", message),
            Self::Failed { message } => ("failed", message),
            Self::Conflict => ("conflict", ""),
        }
    }

    fn from_columns(outcome: &str, message: String) -> Option<Self> {
        Some(match outcome {
            "applied" => Self::Applied,
            "unchanged" => Self::Unchanged,
            "rejected" => Self::Rejected { message },
            "failed" => Self::Failed { message },
            "conflict" => Self::Conflict,
            _ => return None,
        })
    }
}

impl Store {
    /// Keeps what came of a pass over an edge.
    pub async fn record_apply(&self, apply: Apply) -> Result<(), StoreError> {
        self.write("write an apply", move |connection| record(connection, &apply)).await
    }

    /// The newest passes over an edge, newest first.
    pub async fn applies(&self, edge: EdgeName, limit: u32) -> Result<Vec<Apply>, StoreError> {
        self.read("read applies", move |connection| {
            let mut query = connection.prepare_cached(&select("ORDER BY id DESC LIMIT ?2"))?;
            query.query_map(params![edge, limit], from_row)?.collect()
        })
        .await
    }

    /// What passes over edges did for a revision, oldest first: those that wrote or failed, at most 100 of the newest, and the
    /// first of each edge.
    pub async fn applies_of(&self, revision: Revision) -> Result<Vec<Apply>, StoreError> {
        self.read("read the applies of a revision", move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE id IN (SELECT id FROM applies WHERE revision = ?1 AND outcome <> 'unchanged'
                                        ORDER BY id DESC LIMIT 100)
                              OR id IN (SELECT min(id) FROM applies WHERE revision = ?1 GROUP BY edge)
                 ORDER BY id"
            ))?;
            query.query_map([revision], from_row)?.collect()
        })
        .await
    }

    /// The newest pass after which an edge was known to run what it should.
    pub async fn last_applied(&self, edge: EdgeName) -> Result<Option<Apply>, StoreError> {
        self.read("read the last apply", move |connection| {
            let newest_success = "AND outcome IN ('applied', 'unchanged') ORDER BY id DESC LIMIT 1";
            connection.prepare_cached(&select(newest_success))?.query_row([edge], from_row).optional()
        })
        .await
    }
}

fn record(connection: &Connection, apply: &Apply) -> rusqlite::Result<()> {
    let Apply { edge, digest, revision, generation, trigger, outcome, started_at, finished_at } = apply;
    let (outcome, message) = outcome.words();
    connection
        .prepare_cached(
            r#"INSERT INTO applies
                   (edge, digest, revision, generation, "trigger", outcome, message, started_at, finished_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"#,
        )?
        .execute(params![edge, digest, revision, generation, trigger, outcome, message, started_at, finished_at])?;
    // The newest success says what the edge runs.
    connection
        .prepare_cached(
            "DELETE FROM applies
             WHERE edge = ?1
               AND id <= (SELECT id FROM applies WHERE edge = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
               AND id IS NOT (SELECT max(id) FROM applies WHERE edge = ?1 AND outcome IN ('applied', 'unchanged'))",
        )?
        .execute(params![edge, KEPT])?;
    Ok(())
}

const COLUMNS: &str = r#"SELECT edge, digest, revision, generation, "trigger", outcome, message, started_at, finished_at
                         FROM applies"#;

fn select(rest: &str) -> String {
    format!("{COLUMNS} WHERE edge = ?1 {rest}")
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Apply> {
    let outcome: String = row.get(5)?;
    let unknown = || {
        let error = FromSqlError::Other(format!("`{outcome}` is not known").into());
        rusqlite::Error::FromSqlConversionFailure(5, Type::Text, error.into())
    };
    Ok(Apply {
        edge: row.get(0)?,
        digest: row.get(1)?,
        revision: row.get(2)?,
        generation: row.get(3)?,
        trigger: row.get(4)?,
        outcome: ApplyOutcome::from_columns(&outcome, row.get(6)?).ok_or_else(unknown)?,
        started_at: row.get(7)?,
        finished_at: row.get(8)?,
    })
}
