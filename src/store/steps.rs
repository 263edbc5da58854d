use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::revision::{self, RevisionOutcome, RevisionRow};
use super::{Store, StoreError};
use crate::core::model::{FileSet, RevisionInfo};
use crate::core::steering::{Act, Step};

/// Steps kept, beside those that still count: years of them.
const KEPT: u32 = 1_000;

impl Store {
    /// Keeps what an operator did about the source. Who awaits this before acting on it never acts on what a restart does not
    /// know of.
    pub async fn record_step(&self, step: Step) -> Result<(), StoreError> {
        self.write("write a step", move |connection| record(connection, &step)).await
    }

    /// Keeps a step back to a revision together with that revision, which is the newest again: both or neither.
    pub async fn record_rollback(
        &self,
        step: Step,
        info: RevisionInfo,
        files: Arc<FileSet>,
        outcome: RevisionOutcome,
    ) -> Result<(), StoreError> {
        let digests = self.digests(&files).await?;
        let row = RevisionRow { info, outcome, read_at: step.at };
        self.write("write a rollback", move |connection| {
            revision::record(connection, &row, &files, &digests)?;
            record(connection, &step)
        })
        .await
    }

    /// The newest steps, oldest of them first. Those that still count are among them.
    pub async fn steps(&self) -> Result<Vec<Step>, StoreError> {
        self.read("read steps", |connection| {
            connection
                .prepare_cached("SELECT at, act, revision, reason, taken_by FROM steps ORDER BY id")?
                .query_map([], from_row)?
                .collect()
        })
        .await
    }
}

fn record(connection: &Connection, step: &Step) -> rusqlite::Result<()> {
    let Step { at, act, revision, reason, by } = step;
    connection
        .prepare_cached("INSERT INTO steps (at, act, revision, reason, taken_by) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![at, act, revision, reason, by])?;
    connection
        .prepare_cached(
            "DELETE FROM steps
             WHERE id <= (SELECT max(id) FROM steps) - ?1
               AND id IS NOT (SELECT max(id) FROM steps WHERE act <> ?2)
               AND id IS NOT (SELECT max(id) FROM steps WHERE act = ?2)",
        )?
        .execute(params![KEPT, Act::Allow])
        .map(drop)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step { at: row.get(0)?, act: row.get(1)?, revision: row.get(2)?, reason: row.get(3)?, by: row.get(4)? })
}
