use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};
use crate::core::model::{Digest, EdgeName, Generation, Revision, Timestamp};

/// Rendered configurations kept for each edge, beside the one that it runs. One of 10,000 services has about 10 MB, so 20
/// of them are as much as anybody wants in a file that is looked through at every start.
const KEPT: u32 = 20;

/// A rendered configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    /// The edge that it is for.
    pub edge: EdgeName,
    /// Identifies the bytes.
    pub digest: Digest,
    /// The configuration as JSON.
    pub bytes: Arc<[u8]>,
    /// The newest revision that it was rendered from.
    pub revision: Revision,
    /// The newest generation that it was rendered from.
    pub generation: Generation,
    /// When it was rendered last.
    pub at: Timestamp,
}

impl Store {
    /// Keeps a rendered configuration; its bytes once, however often and for however many edges they are rendered.
    pub async fn record_render(&self, render: Render) -> Result<(), StoreError> {
        self.write("write a rendered configuration", move |connection| record(connection, &render)).await
    }

    /// The bytes of a rendered configuration.
    pub async fn rendered(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read("read a rendered configuration", move |connection| {
            let mut query = connection.prepare_cached("SELECT bytes FROM configs WHERE digest = ?1")?;
            query.query_row([&digest], |row| row.get(0)).optional()
        })
        .await
    }
}

fn record(connection: &Connection, render: &Render) -> rusqlite::Result<()> {
    let Render { edge, digest, bytes, revision, generation, at } = render;
    connection
        .prepare_cached("INSERT INTO configs (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![digest, bytes])?;
    // A replaced row gets a new id: what was rendered again is among the newest again.
    connection
        .prepare_cached("REPLACE INTO renders (edge, digest, revision, generation, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![edge, digest, revision, generation, at])?;
    forget(connection, edge)
}

/// What an edge runs is kept however old it is: it is what the edge goes back to when the next one is refused.
fn forget(connection: &Connection, edge: &EdgeName) -> rusqlite::Result<()> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM renders
             WHERE edge = ?1
               AND id <= (SELECT id FROM renders WHERE edge = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
               AND digest IS NOT (SELECT digest FROM applies
                                  WHERE edge = ?1 AND outcome IN ('applied', 'unchanged') ORDER BY id DESC LIMIT 1)",
        )?
        .execute(params![edge, KEPT])?;
    if forgotten > 0 { forget_configs(connection) } else { Ok(()) }
}

/// Bytes that nothing refers to any more.
pub(super) fn forget_configs(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM configs WHERE NOT EXISTS (SELECT 1 FROM renders WHERE renders.digest = configs.digest)",
        )?
        .execute([])
        .map(drop)
}
