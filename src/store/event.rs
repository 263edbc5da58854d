use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::core::health::{Event, Subject};
use crate::core::model::Timestamp;

/// Events kept, of all layers together: 2 MB.
const KEPT: u32 = 20_000;
/// How long they are kept: a quarter, as changes of verdicts are.
const KEPT_FOR: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// Keeps events, in their order.
    pub async fn record_events(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.write("write events", move |connection| record(connection, &events)).await
    }

    /// The newest events, newest first; of one layer or of all.
    pub async fn events(&self, subject: Option<Subject>, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.read("read events", move |connection| newest(connection, subject.as_ref(), limit)).await
    }

    /// The newest event of each layer.
    pub async fn last_events(&self) -> Result<Vec<Event>, StoreError> {
        self.read("read the last events", last).await
    }
}

fn record(connection: &Connection, events: &[Event]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (subject, at, before, after, cause, backends) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for Event { at, subject, from, to, cause, backends } in events {
        insert.execute(params![subject, at, from, to, cause, backends])?;
    }
    let Some(newest) = events.iter().map(|event| event.at).max() else { return Ok(()) };
    connection.prepare_cached("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1")?.execute([KEPT])?;
    let age = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    let oldest = Timestamp::from_unix_millis(newest.unix_millis().saturating_sub(age));
    connection.prepare_cached("DELETE FROM events WHERE at < ?1")?.execute([oldest])?;
    Ok(())
}

fn newest(connection: &Connection, subject: Option<&Subject>, limit: u32) -> rusqlite::Result<Vec<Event>> {
    match subject {
        None => connection
            .prepare_cached("SELECT subject, at, before, after, cause, backends FROM events ORDER BY id DESC LIMIT ?1")?
            .query_map([limit], from_row)?
            .collect(),
        Some(subject) => connection
            .prepare_cached(
                "SELECT subject, at, before, after, cause, backends FROM events
                 WHERE subject = ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map(params![subject, limit], from_row)?
            .collect(),
    }
}

fn last(connection: &Connection) -> rusqlite::Result<Vec<Event>> {
    connection
        .prepare_cached(
            "SELECT subject, at, before, after, cause, backends FROM events
             WHERE id IN (SELECT max(id) FROM events GROUP BY subject) ORDER BY id DESC",
        )?
        .query_map([], from_row)?
        .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        subject: row.get(0)?,
        at: row.get(1)?,
        from: row.get(2)?,
        to: row.get(3)?,
        cause: row.get(4)?,
        backends: row.get(5)?,
    })
}
