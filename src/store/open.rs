use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Marks a file as bascule's, in SQLite's header: "bscl".
const APPLICATION_ID: i64 = 0x6273_636c;
/// How long a statement waits for a reader that holds the write-ahead log, before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Migrations in order; the file's `user_version` is how many have run.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// The newest version of the state file that this program knows.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// An open state file.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    /// Held for as long as the process lives; the kernel lets it go, whatever ends the process.
    pub(super) lock: File,
}

pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let lock = lock(path)?;
    let is_new = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    if !is_new {
        inspect(path)?;
    }
    let mut writer = Connection::open(path).map_err(sqlite)?;
    configure(&writer).map_err(sqlite)?;
    migrate(&mut writer, is_new).map_err(sqlite)?;
    let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    reader.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    Ok(Opened { path: path.to_owned(), writer, reader, lock })
}

/// A file beside the state file is locked, and not the state file itself: SQLite locks that one in its own way.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Looks at a file that is there before anything may write to it.
fn inspect(path: &Path) -> Result<(), StoreError> {
    let damaged = |detail: String| StoreError::Damaged { path: path.to_owned(), detail };
    let mut header = [0; 16];
    let read = File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header));
    if read.is_err() || &header != b"SQLite format 3\0" {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    // Read-write, since a write-ahead log left by `kill -9` must be taken in to see the newest rows.
    let db = Connection::open(path).map_err(|error| damaged(error.to_string()))?;
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let id = pragma("application_id").map_err(|error| damaged(error.to_string()))?;
    if id != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found = pragma("user_version").map_err(|error| damaged(error.to_string()))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| damaged(error.to_string()))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(verdict)) }
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // FULL: a commit is on the disk before it is acknowledged. With NORMAL, a power cut may undo the newest commits of a
    // write-ahead log (SQLite documentation, "WAL", section 2.2), and an edge would run what nobody remembers. A few
    // commits a second make this affordable.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

fn migrate(db: &mut Connection, is_new: bool) -> rusqlite::Result<()> {
    if is_new {
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, migration) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        let tx = db.transaction()?;
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}

/// What is wrong with the file; none when nothing is.
pub(super) fn integrity(db: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Some(verdict));
    }
    let mut orphans = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = orphans.query([])?;
    let orphan = rows.next()?.map(|row| row.get::<_, String>(0)).transpose()?;
    Ok(orphan.map(|table| format!("a row of {table} refers to nothing")))
}
