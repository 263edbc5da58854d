use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::core::model::EdgeName;
use crate::core::status::RefusedService;

impl Store {
    /// Keeps which services an edge refuses, in place of what was kept of it. Who awaits this before it pushes without them
    /// does not forget after a crash what it has left there.
    pub async fn record_refused(&self, edge: EdgeName, refused: Vec<RefusedService>) -> Result<(), StoreError> {
        self.write("write what an edge refuses", move |connection| record(connection, &edge, &refused)).await
    }

    /// The services that an edge refuses, by name.
    pub async fn refused(&self, edge: EdgeName) -> Result<Vec<RefusedService>, StoreError> {
        self.read("read what an edge refuses", move |connection| {
            connection
                .prepare_cached(
                    "SELECT service, since, revision, kept, refused, message FROM edge_quarantine
                     WHERE edge = ?1 ORDER BY service",
                )?
                .query_map([edge], from_row)?
                .collect()
        })
        .await
    }
}

fn record(connection: &Connection, edge: &EdgeName, refused: &[RefusedService]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM edge_quarantine WHERE edge = ?1")?.execute([edge])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO edge_quarantine (edge, service, since, revision, kept, refused, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for RefusedService { service, since, revision, kept, refused, message } in refused {
        insert.execute(params![edge, service, since, revision, kept, refused, message])?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RefusedService> {
    Ok(RefusedService {
        service: row.get(0)?,
        since: row.get(1)?,
        revision: row.get(2)?,
        kept: row.get(3)?,
        refused: row.get(4)?,
        message: row.get(5)?,
    })
}
