use rusqlite::{Connection, OptionalExtension as _};

use super::{Store, StoreError};

impl Store {
    /// Keeps a small value under a name, in place of what was there.
    pub async fn set_meta(&self, key: &'static str, value: String) -> Result<(), StoreError> {
        self.write("write a value", move |connection| set(connection, key, &value)).await
    }

    /// The value under a name.
    pub async fn meta(&self, key: &'static str) -> Result<Option<String>, StoreError> {
        self.read("read a value", move |connection| get(connection, key)).await
    }
}

pub(super) fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        )?
        .execute((key, value))
        .map(drop)
}

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}
