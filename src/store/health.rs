use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::retention;
use crate::core::health::{Availability, BackendHealth, HourCount, LastSample, Transition, Verdict};
use crate::core::model::{BackendName, Timestamp};

pub(super) fn record(db: &Connection, health: &[(BackendName, BackendHealth)]) -> rusqlite::Result<()> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO health (backend, verdict, since, passes, fails, last_at, latency_us, outcome, hours)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (backend) DO UPDATE SET
             verdict = excluded.verdict, since = excluded.since, passes = excluded.passes, fails = excluded.fails,
             last_at = excluded.last_at, latency_us = excluded.latency_us, outcome = excluded.outcome,
             hours = excluded.hours",
    )?;
    for (backend, health) in health {
        let BackendHealth { verdict, since, passes, fails, last, availability } = health;
        let latency = last.as_ref().map(|last| i64::try_from(last.latency.as_micros()).unwrap_or(i64::MAX));
        let outcome = last.as_ref().map(|last| to_json(&last.outcome)).transpose()?;
        upsert.execute(params![
            backend.as_str(),
            verdict.as_str(),
            since.map(Timestamp::unix_millis),
            passes,
            fails,
            last.as_ref().map(|last| last.at.unix_millis()),
            latency,
            outcome,
            to_json(availability.hours())?,
        ])?;
    }
    Ok(())
}

pub(super) fn all(db: &Connection) -> rusqlite::Result<BTreeMap<BackendName, BackendHealth>> {
    let mut query = db.prepare_cached(
        "SELECT backend, verdict, since, passes, fails, last_at, latency_us, outcome, hours FROM health",
    )?;
    query.query_map([], from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(BackendName, BackendHealth)> {
    let last = match (row.get::<_, Option<i64>>(5)?, row.get::<_, Option<i64>>(6)?, row.get::<_, Option<String>>(7)?) {
        (Some(at), Some(latency), Some(outcome)) => Some(LastSample {
            at: Timestamp::from_unix_millis(at),
            latency: Duration::from_micros(u64::try_from(latency).unwrap_or(0)),
            outcome: from_json(7, &outcome)?,
        }),
        _ => None,
    };
    let hours: Vec<HourCount> = from_json(8, &row.get::<_, String>(8)?)?;
    let health = BackendHealth {
        verdict: verdict(1, &row.get::<_, String>(1)?)?,
        since: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_millis),
        passes: row.get(3)?,
        fails: row.get(4)?,
        last,
        availability: Availability::from_hours(hours),
    };
    Ok((name(0, row)?, health))
}

pub(super) fn record_transitions(db: &Connection, transitions: &[Transition]) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare_cached("INSERT INTO transitions (backend, at, before, after, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Transition { backend, at, from, to, reason } in transitions {
        insert.execute(params![backend.as_str(), at.unix_millis(), from.as_str(), to.as_str(), reason])?;
    }
    retention::transitions(db)
}

pub(super) fn transitions(
    db: &Connection,
    backend: Option<&BackendName>,
    limit: u32,
) -> rusqlite::Result<Vec<Transition>> {
    let mut query = db.prepare_cached(
        "SELECT backend, at, before, after, reason FROM transitions
         WHERE ?1 IS NULL OR backend = ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let rows = query.query_map((backend.map(BackendName::as_str), limit), |row| {
        Ok(Transition {
            backend: name(0, row)?,
            at: Timestamp::from_unix_millis(row.get(1)?),
            from: verdict(2, &row.get::<_, String>(2)?)?,
            to: verdict(3, &row.get::<_, String>(3)?)?,
            reason: row.get(4)?,
        })
    })?;
    rows.collect()
}

fn name(column: usize, row: &Row<'_>) -> rusqlite::Result<BackendName> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn verdict(column: usize, text: &str) -> rusqlite::Result<Verdict> {
    [Verdict::Unknown, Verdict::Up, Verdict::Down]
        .into_iter()
        .find(|verdict| verdict.as_str() == text)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, text.to_owned().into()))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
