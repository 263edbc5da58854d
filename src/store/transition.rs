use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{Store, StoreError, health};
use crate::core::health::{BackendHealth, Transition};
use crate::core::model::{BackendName, Timestamp};

/// Transitions kept, of all backends together: 12 MB.
const KEPT: u32 = 100_000;
/// How long they are kept: a quarter, the time people look back over.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// Keeps changes of verdicts together with what is known of their backends: both or neither. Who awaits this before
    /// acting on a verdict never acts on one that a restart does not know of.
    pub async fn record_transitions(
        &self,
        transitions: Vec<Transition>,
        health: Vec<(BackendName, BackendHealth)>,
    ) -> Result<(), StoreError> {
        self.write("write transitions", move |connection| {
            health::record(connection, &health)?;
            record(connection, &transitions)
        })
        .await
    }

    /// The newest changes of verdicts, newest first; of one backend or of all.
    pub async fn transitions(&self, backend: Option<BackendName>, limit: u32) -> Result<Vec<Transition>, StoreError> {
        self.read("read transitions", move |connection| newest(connection, backend.as_ref(), limit)).await
    }
}

fn record(connection: &Connection, transitions: &[Transition]) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO transitions (backend, at, before, after, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Transition { backend, at, from, to, reason } in transitions {
        insert.execute(params![backend, at, from, to, reason])?;
    }
    let Some(newest) = transitions.iter().map(|transition| transition.at).max() else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM transitions WHERE id <= (SELECT max(id) FROM transitions) - ?1")?
        .execute([KEPT])?;
    let age = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    let oldest = Timestamp::from_unix_millis(newest.unix_millis().saturating_sub(age));
    connection.prepare_cached("DELETE FROM transitions WHERE at < ?1")?.execute([oldest])?;
    Ok(())
}

fn newest(connection: &Connection, backend: Option<&BackendName>, limit: u32) -> rusqlite::Result<Vec<Transition>> {
    match backend {
        None => connection
            .prepare_cached("SELECT backend, at, before, after, reason FROM transitions ORDER BY id DESC LIMIT ?1")?
            .query_map([limit], from_row)?
            .collect(),
        Some(backend) => connection
            .prepare_cached(
                "SELECT backend, at, before, after, reason FROM transitions
                 WHERE backend = ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map(params![backend, limit], from_row)?
            .collect(),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Transition> {
    Ok(Transition { backend: row.get(0)?, at: row.get(1)?, from: row.get(2)?, to: row.get(3)?, reason: row.get(4)? })
}
