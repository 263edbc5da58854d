//! From an older version of the file to this program's.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The SQL that leads from each version to the next, in order. A file's `user_version` is how many have run. One that has
/// been released is never edited.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_probe_target.sql"),
    include_str!("migrations/0003_choices.sql"),
    include_str!("migrations/0004_overrides.sql"),
    include_str!("migrations/0005_flaps.sql"),
    include_str!("migrations/0006_events.sql"),
    include_str!("migrations/0007_steering.sql"),
    include_str!("migrations/0008_quarantine.sql"),
    include_str!("migrations/0009_observed_since.sql"),
];

/// The newest version of the state file that this program knows.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// The version of an open file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Runs what has not run yet, each step in a transaction: a step that fails, or a process that dies in it, leaves the
/// version before.
pub(super) fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let current = version(connection).map_err(|source| StoreError::sqlite(path, "read the version", source))?;
    for (number, sql) in (1..).zip(migrations).filter(|(number, _)| *number > current) {
        step(connection, number, sql).map_err(|source| StoreError::Migration {
            path: path.to_owned(),
            version: number,
            source,
        })?;
    }
    Ok(())
}

/// Runs with foreign keys off (they cannot be switched inside a transaction), so that a table may be made anew under its
/// old name; what they demand is looked at before the commit instead.
fn step(connection: &mut Connection, version: i64, sql: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(sql)?;
    if let Some(orphan) = orphan(&transaction)? {
        return Err(rusqlite::Error::ToSqlConversionFailure(orphan.into()));
    }
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// A row that refers to a row which is not there, in words.
pub(super) fn orphan(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = check.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (table, parent) = (row.get::<_, String>(0)?, row.get::<_, String>(2)?);
    Ok(Some(format!("a row of {table} refers to a row of {parent} that is not there")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE a (name TEXT PRIMARY KEY); INSERT INTO a VALUES ('dijon');";
    const SECOND: &str =
        "ALTER TABLE a ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'; INSERT INTO a VALUES ('thory', '');";

    fn run(connection: &mut Connection, migrations: &[&str]) -> Result<i64, StoreError> {
        migrate(connection, Path::new("bascule.db"), migrations)?;
        Ok(version(connection).expect("a version"))
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).expect("a count")
    }

    #[test]
    fn an_older_file_is_brought_up_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().expect("opens");
        assert_eq!(run(&mut connection, &[FIRST]).expect("migrates"), 1);
        assert_eq!(run(&mut connection, &[FIRST, SECOND]).expect("migrates"), 2);
        assert_eq!(rows(&connection), 2);
        // A second time there is nothing to do.
        assert_eq!(run(&mut connection, &[FIRST, SECOND]).expect("migrates"), 2);
        assert_eq!(rows(&connection), 2);
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before() {
        let orphaned = "CREATE TABLE b (a TEXT REFERENCES a (name)); INSERT INTO b VALUES ('nowhere');";
        for broken in ["INSERT INTO a VALUES ('thory'); INSERT INTO nothing VALUES (1);", orphaned] {
            let mut connection = Connection::open_in_memory().expect("opens");
            let error = run(&mut connection, &[FIRST, broken]).expect_err("the second step is broken");
            assert!(matches!(error, StoreError::Migration { version: 2, .. }), "{error:?}");
            assert_eq!((version(&connection).expect("a version"), rows(&connection)), (1, 1), "{broken}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_run_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        let mut names: Vec<_> =
            folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        let numbers: Vec<_> = names.iter().map(|name| name.to_string_lossy()[..4].to_owned()).collect();
        let expected: Vec<_> = (1..=MIGRATIONS.len()).map(|number| format!("{number:04}")).collect();
        assert_eq!(numbers, expected);
        for (name, sql) in names.iter().zip(MIGRATIONS) {
            assert_eq!(std::fs::read_to_string(folder.join(name)).expect("text"), *sql, "{}", name.display());
        }
    }
}
