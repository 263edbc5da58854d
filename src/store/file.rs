//! Opening the file: whose it is, whether it is whole, and how SQLite is to treat it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::lock::Lock;
use super::migrate::{self, MIGRATIONS, SCHEMA_VERSION};

/// Marks a file as bascule's in SQLite's header: "bscl". It never changes, so it can be read without SQLite.
const APPLICATION_ID: i32 = 0x6273_636c;
/// Length of SQLite's file header, and where in it the application id stands (SQLite documentation, "Database File
/// Format", section 1.3).
const HEADER_BYTES: usize = 100;
const APPLICATION_ID_AT: usize = 68;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Only a tool that somebody opened on the file can hold a lock that a statement waits for: bascule has one writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Size to which the write-ahead log is cut back once it has been taken into the file. Writing the health of 30,000
/// backends makes one of 16 MB, and it would stay as large as it ever was.
const LOG_BYTES_KEPT: i64 = 32 << 20;
/// Statements that a connection keeps prepared. There are about 40.
const STATEMENTS_KEPT: usize = 64;

/// An open state file.
pub(super) struct Opened {
    /// Its one name, whatever links led to it.
    pub(super) path: PathBuf,
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) lock: Lock,
}

/// Opens a state file, or makes one.
pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    let path = &canonical(path)?;
    // A foreign file gets no lock file beside it. Where there is one, its owner may have the state file open, perhaps in
    // this very process, and closing a second handle of the file would drop the locks that SQLite has on it (POSIX).
    if !Lock::path(path).exists() {
        identify(path)?;
    }
    let lock = Lock::take(path)?;
    if identify(path)? == Identity::Missing {
        create(path).map_err(|(action, source)| StoreError::Io { path: path.clone(), action, source })?;
    }
    let mut writer = connect(path, Access::ReadWrite)?;
    inspect(&writer, path)?;
    keep_a_log(&writer, path)?;
    migrate::migrate(&mut writer, path, MIGRATIONS)?;
    configure(&writer).map_err(|source| StoreError::sqlite(path, "set up the connection", source))?;
    let reader = connect(path, Access::ReadOnly)?;
    Ok(Opened { path: path.clone(), writer, reader, lock })
}

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Opens a connection to a file that is there.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, StoreError> {
    let access = match access {
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // A connection stays with one thread, so SQLite need not guard it against two.
    let opened = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let set_up = opened.and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(connection)
    });
    set_up.map_err(|source| StoreError::sqlite(path, "open a connection", source))
}

/// A name beside the state file: `bascule.db` and `.lock` make `bascule.db.lock`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The one name of a file that may not be there yet: two names of one file must meet at one lock.
fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    let resolve = || {
        if path.exists() {
            return fs::canonicalize(path);
        }
        let name = path.file_name().ok_or_else(|| io::Error::from(ErrorKind::InvalidFilename))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        Ok(fs::canonicalize(folder)?.join(name))
    };
    resolve().map_err(|source| StoreError::Io { path: path.to_owned(), action: "find the folder", source })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// There is no file, or one without a byte in it, as `touch` makes it.
    Missing,
    Ours,
}

/// Looks at the header without SQLite, which would already change a file that has a log or a journal beside it.
fn identify(path: &Path) -> Result<Identity, StoreError> {
    let foreign = |found: &str| StoreError::Foreign { path: path.to_owned(), found: found.to_owned() };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let read = File::open(path).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header));
    match read {
        Ok(0) => return Ok(Identity::Missing),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Identity::Missing),
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Err(foreign("a folder")),
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), action: "read the header", source }),
    }
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(foreign("not an SQLite file"));
    }
    if header[APPLICATION_ID_AT..].starts_with(&APPLICATION_ID.to_be_bytes()) {
        Ok(Identity::Ours)
    } else {
        Err(foreign("an SQLite file of another program"))
    }
}

/// Makes a file whose header is whole from its first moment under its name: a process that dies here leaves either no
/// file or one that `identify` knows.
fn create(path: &Path) -> Result<(), (&'static str, io::Error)> {
    // A log without its file belongs to a file that somebody moved away. SQLite would take it into the new one.
    for suffix in ["-wal", "-shm", "-journal"] {
        let left_over = beside(path, suffix);
        match fs::rename(&left_over, beside(&left_over, ".orphan")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(("set aside an old log", error)),
            _ => {}
        }
    }
    let draft = beside(path, ".new");
    for left_over in [draft.clone(), beside(&draft, "-journal")] {
        match fs::remove_file(left_over) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(("remove an old draft", error)),
            _ => {}
        }
    }
    let write = || {
        let connection = Connection::open(&draft)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.close().map_err(|(_, error)| error)
    };
    write().map_err(|error| ("make a new file", io::Error::other(error)))?;
    fs::rename(&draft, path).map_err(|error| ("name the new file", error))?;
    // The name is on the disk only once the folder is.
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| ("flush the folder", error))
}

/// Refuses a file that is newer or damaged, before anything is written to it.
fn inspect(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::sqlite(path, "inspect the file", source);
    let found = migrate::version(connection).map_err(failed)?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    // Every page is read (not every index entry compared, as `integrity` does): 0.1 s for a file of 100 MB.
    match problem(connection, "quick_check").map_err(failed)? {
        None => Ok(()),
        Some(detail) => Err(StoreError::Damaged { path: path.to_owned(), detail }),
    }
}

/// Compares everything with everything, which `inspect` leaves out.
pub(super) fn check_integrity(path: &Path) -> Result<(), StoreError> {
    let connection = connect(path, Access::ReadOnly)?;
    let check = || match problem(&connection, "integrity_check")? {
        None => migrate::orphan(&connection),
        problem => Ok(problem),
    };
    match check().map_err(|source| StoreError::sqlite(path, "check the file", source))? {
        None => Ok(()),
        Some(detail) => Err(StoreError::Damaged { path: path.to_owned(), detail }),
    }
}

/// The first thing that one of SQLite's checks finds.
fn problem(connection: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let verdict: String = connection.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

/// A write-ahead log lets the reader read while the writer writes, and makes a commit one append and one flush.
fn keep_a_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|source| StoreError::sqlite(path, "start the write-ahead log", source))?;
    if mode == "wal" { Ok(()) } else { Err(StoreError::NoWal { path: path.to_owned(), mode }) }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // FULL: a commit flushes the log before it is acknowledged. NORMAL flushes only at checkpoints: `kill -9` loses
    // nothing with it either, since the kernel has the pages, but a power cut undoes the commits since the last
    // checkpoint, and an edge would run a configuration that nobody remembers. Counted over 50 commits of one row: 50
    // flushes with FULL, none with NORMAL. Writes that queue up during a flush share the next one.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Sorting of a large deletion must not need a writable `/tmp`: the container's root is read-only.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // This one answers with a row, which `pragma_update` takes for a mistake.
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES_KEPT}"), [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_flushes_every_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let Opened { writer, reader, .. } = open(&folder.path().join("bascule.db")).expect("opens");
        let number = |connection: &Connection, pragma: &str| {
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0)).expect("a number")
        };
        // 2 is FULL (SQLite documentation, "PRAGMA synchronous").
        assert_eq!(number(&writer, "synchronous"), 2);
        assert_eq!(number(&writer, "foreign_keys"), 1);
        assert_eq!(number(&writer, "journal_size_limit"), LOG_BYTES_KEPT);
        assert_eq!(number(&writer, "application_id"), i64::from(APPLICATION_ID));
        assert_eq!(number(&writer, "user_version"), SCHEMA_VERSION);
        assert!(reader.is_readonly("main").expect("known"));
    }
}
