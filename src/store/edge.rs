use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Store, StoreError, render};
use crate::core::model::{EdgeName, Timestamp};

/// How long the past of an edge is kept that is declared no more: a week, in which a removal can be taken back. What an edge
/// ran has up to 10 MB, twenty times, so that edges which come and go would fill the disk.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

impl Store {
    /// Forgets what was rendered for and sent to edges that are not declared, once it is older than a week. What is kept of
    /// declared edges is bounded in number instead.
    pub async fn retain_edges(&self, declared: BTreeSet<EdgeName>, now: Timestamp) -> Result<(), StoreError> {
        self.write("forget edges", move |connection| retain(connection, &declared, now)).await
    }
}

fn retain(connection: &Connection, declared: &BTreeSet<EdgeName>, now: Timestamp) -> rusqlite::Result<()> {
    let names = connection
        .prepare_cached("SELECT edge FROM renders UNION SELECT edge FROM applies")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<EdgeName>>>()?;
    let age = i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    let oldest = Timestamp::from_unix_millis(now.unix_millis().saturating_sub(age));
    let mut renders = connection.prepare_cached("DELETE FROM renders WHERE edge = ?1 AND at < ?2")?;
    let mut applies = connection.prepare_cached("DELETE FROM applies WHERE edge = ?1 AND finished_at < ?2")?;
    // What it ran last is told by its applies, and by what of those it did not have.
    let mut refused = connection.prepare_cached(
        "DELETE FROM edge_quarantine WHERE edge = ?1 AND NOT EXISTS (SELECT 1 FROM applies WHERE applies.edge = ?1)",
    )?;
    let mut forgotten = 0;
    for edge in names.iter().filter(|edge| !declared.contains(edge)) {
        forgotten += renders.execute(params![edge, oldest])?;
        applies.execute(params![edge, oldest])?;
        refused.execute(params![edge])?;
    }
    if forgotten > 0 { render::forget_configs(connection) } else { Ok(()) }
}
