use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::core::routing::{Override, Target};

impl Store {
    /// Keeps an operator's decision, in place of the one before about the same target. Who awaits this before acting on it
    /// never acts on one that a restart does not know of.
    pub async fn record_override(&self, decided: Override) -> Result<(), StoreError> {
        self.write("write an override", move |connection| record(connection, &decided)).await
    }

    /// Forgets the decisions about some targets.
    pub async fn remove_overrides(&self, targets: Vec<Target>) -> Result<(), StoreError> {
        self.write("remove overrides", move |connection| {
            let mut remove = connection.prepare_cached("DELETE FROM overrides WHERE target = ?1")?;
            for target in &targets {
                remove.execute([target])?;
            }
            Ok(())
        })
        .await
    }

    /// Every decision that is kept, by target, also those that have ended meanwhile.
    pub async fn overrides(&self) -> Result<Vec<Override>, StoreError> {
        self.read("read overrides", |connection| {
            connection
                .prepare_cached("SELECT target, action, reason, set_by, set_at, until FROM overrides ORDER BY target")?
                .query_map([], from_row)?
                .collect()
        })
        .await
    }
}

fn record(connection: &Connection, decided: &Override) -> rusqlite::Result<()> {
    let Override { target, action, reason, by, set_at, until } = decided;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO overrides (target, action, reason, set_by, set_at, until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![target, action, reason, by, set_at, until])
        .map(drop)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override {
        target: row.get(0)?,
        action: row.get(1)?,
        reason: row.get(2)?,
        by: row.get(3)?,
        set_at: row.get(4)?,
        until: row.get(5)?,
    })
}
