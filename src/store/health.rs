use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::column::Json;
use super::{Store, StoreError};
use crate::core::health::{Availability, BackendHealth, Flap, Hour, HourCount, LastSample, Share, Told};
use crate::core::model::BackendName;

impl Store {
    /// Keeps what is known of some backends.
    pub async fn record_health(&self, health: Vec<(BackendName, BackendHealth)>) -> Result<(), StoreError> {
        self.write("write health", move |connection| record(connection, &health)).await
    }

    /// What is known of every backend.
    pub async fn health(&self) -> Result<BTreeMap<BackendName, BackendHealth>, StoreError> {
        self.read("read health", all).await
    }

    /// Forgets the health of all other backends. [`Store::record_served`] does it too.
    pub async fn retain_backends(&self, kept: BTreeSet<BackendName>) -> Result<(), StoreError> {
        self.write("forget health", move |connection| retain(connection, |name| kept.contains(name))).await
    }
}

pub(super) fn record(connection: &Connection, health: &[(BackendName, BackendHealth)]) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO health
             (backend, verdict, since, passes, fails, last_at, last_latency_ns, last_outcome, hours, target,
              flap_score, flap_at, held_until, counted_since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (backend) DO UPDATE SET
             verdict = excluded.verdict, since = excluded.since, passes = excluded.passes, fails = excluded.fails,
             last_at = excluded.last_at, last_latency_ns = excluded.last_latency_ns,
             last_outcome = excluded.last_outcome, hours = excluded.hours, target = excluded.target,
             flap_score = excluded.flap_score, flap_at = excluded.flap_at, held_until = excluded.held_until,
             counted_since = excluded.counted_since",
    )?;
    for (backend, health) in health {
        let BackendHealth {
            target,
            verdict,
            was_up: _,
            since,
            passes,
            fails,
            last,
            availability,
            flap,
            told: _,
            share: _,
        } = health;
        let Flap { score, at: flap_at, held_until } = flap;
        let last = last.as_ref();
        upsert.execute(params![
            backend,
            verdict,
            since,
            passes,
            fails,
            last.map(|last| last.at),
            last.map(|last| i64::try_from(last.latency.as_nanos()).unwrap_or(i64::MAX)),
            last.map(|last| Json(&last.outcome)),
            Json(availability.hours().iter().map(hour_to_row).collect::<Vec<_>>()),
            target,
            score,
            flap_at,
            held_until,
            availability.since(),
        ])?;
    }
    Ok(())
}

fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<BackendName, BackendHealth>> {
    let mut query = connection.prepare_cached(
        "SELECT backend, verdict, since, passes, fails, last_at, last_latency_ns, last_outcome, hours, target,
             flap_score, flap_at, held_until, counted_since
         FROM health",
    )?;
    query.query_map([], from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(BackendName, BackendHealth)> {
    let last = match (row.get(5)?, row.get::<_, Option<i64>>(6)?, row.get(7)?) {
        (Some(at), Some(latency), Some(Json(outcome))) => {
            Some(LastSample { at, latency: Duration::from_nanos(u64::try_from(latency).unwrap_or(0)), outcome })
        }
        _ => None,
    };
    let Json(hours) = row.get::<_, Json<Vec<HourRow>>>(8)?;
    let health = BackendHealth {
        target: row.get(9)?,
        verdict: row.get(1)?,
        was_up: false,
        since: row.get(2)?,
        passes: row.get(3)?,
        fails: row.get(4)?,
        last,
        availability: Availability::kept(hours.into_iter().map(hour_from_row).collect(), row.get(13)?),
        flap: Flap { score: row.get(10)?, at: row.get(11)?, held_until: row.get(12)? },
        told: Told::default(),
        share: Share::default(),
    };
    Ok((row.get(0)?, health))
}

/// Removes the rows of backends that are not kept.
pub(super) fn retain(connection: &Connection, is_kept: impl Fn(&BackendName) -> bool) -> rusqlite::Result<()> {
    let names = connection
        .prepare_cached("SELECT backend FROM health")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<BackendName>>>()?;
    let mut remove = connection.prepare_cached("DELETE FROM health WHERE backend = ?1")?;
    for name in names.iter().filter(|name| !is_kept(name)) {
        remove.execute([name])?;
    }
    Ok(())
}

/// Without names of fields: a day takes 360 bytes of a row instead of 940, and 30,000 rows are written at once.
type HourRow = (i64, u32, u32);

fn hour_to_row(count: &HourCount) -> HourRow {
    let HourCount { hour: Hour(hour), passes, fails } = *count;
    (hour, passes, fails)
}

fn hour_from_row((hour, passes, fails): HourRow) -> HourCount {
    HourCount { hour: Hour(hour), passes, fails }
}
