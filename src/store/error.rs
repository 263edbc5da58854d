use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the state file does not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder, the file or something beside it cannot be used.
    #[error("cannot {action} for the state file `{}`", path.display())]
    Io {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the state file `{}` is in use by another bascule{}; stop that one, or name another file with `--state`",
        path.display(), holder.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// The state file.
        path: PathBuf,
        /// The other process, where it said so. In a container its number means nothing outside.
        holder: Option<u32>,
    },
    /// It is not a state file.
    #[error(
        "`{}` is not a state file of bascule ({found}); it was not touched: name another file with `--state`",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A newer bascule made it.
    #[error(
        "the state file `{}` has version {found}, and this bascule knows versions up to {known}: run the newer bascule, \
         or move the file away (git and probes fill a new one)",
        path.display()
    )]
    Newer {
        /// The state file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Its contents make no sense.
    #[error(
        "the state file `{}` is damaged ({detail}): move it away, with the `-wal` file beside it if there is one, and \
         start again; git and probes fill a new one",
        path.display()
    )]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It cannot be brought to this program's version. It stays at the version before.
    #[error("cannot bring the state file `{}` to version {version}", path.display())]
    Migration {
        /// The state file.
        path: PathBuf,
        /// The version that it should get.
        version: i64,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file system it is on cannot hold a write-ahead log: a network file system, mostly.
    #[error(
        "the state file `{}` cannot have a write-ahead log (its journal stays in mode `{mode}`): keep it on a local disk",
        path.display()
    )]
    NoWal {
        /// The state file.
        path: PathBuf,
        /// The journal mode that SQLite chose instead.
        mode: String,
    },
    /// SQLite refused one piece of work. Nothing of it is kept.
    #[error("cannot {action} in the state file `{}`", path.display())]
    Sqlite {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// A commit failed, and with it everything that was in it.
    #[error("cannot commit to the state file `{}`", path.display())]
    Commit {
        /// The state file.
        path: PathBuf,
        /// Why; several writes share a commit, and its error.
        source: Arc<rusqlite::Error>,
    },
    /// It was closed.
    #[error("the state file `{}` is closed", path.display())]
    Closed {
        /// The state file.
        path: PathBuf,
    },
}

/// What the caller of a failed method must do next. At start-up every error is fatal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreFault {
    /// Try again, with backoff: the disk is full, a file is locked.
    Retry,
    /// The same call will fail again; go on without it.
    Stall,
    /// No call will succeed until a person acts.
    Fatal,
}

impl StoreError {
    /// What to do next.
    pub fn fault(&self) -> StoreFault {
        match self {
            Self::Sqlite { source, .. } => fault_of(source),
            Self::Commit { source, .. } => fault_of(source),
            Self::Io { .. }
            | Self::InUse { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. }
            | Self::Migration { .. }
            | Self::NoWal { .. }
            | Self::Closed { .. } => StoreFault::Fatal,
        }
    }

    /// Sorts an error of SQLite's: what tells of damage is [`StoreError::Damaged`], whichever call came upon it.
    pub(super) fn sqlite(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if tells_of_damage(&source) {
            return Self::Damaged { path, detail: source.to_string() };
        }
        Self::Sqlite { path, action, source }
    }
}

/// A value that does not fit its column's type was not written by a bascule, so it is damage like a torn page.
fn tells_of_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}

fn fault_of(error: &rusqlite::Error) -> StoreFault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreFault::Fatal,
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly,
        ) => StoreFault::Retry,
        _ => StoreFault::Stall,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn errors_say_what_to_do_next() {
        let path = Path::new("bascule.db");
        for (code, expected) in [
            (ffi::SQLITE_BUSY, StoreFault::Retry),
            (ffi::SQLITE_FULL, StoreFault::Retry),
            (ffi::SQLITE_IOERR_FSYNC, StoreFault::Retry),
            (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, StoreFault::Stall),
            (ffi::SQLITE_CORRUPT, StoreFault::Fatal),
            (ffi::SQLITE_NOTADB, StoreFault::Fatal),
        ] {
            let source = || rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(StoreError::sqlite(path, "write a row", source()).fault(), expected, "{code}");
            let commit = StoreError::Commit { path: path.to_owned(), source: Arc::new(source()) };
            assert_eq!(commit.fault(), expected, "{code}");
        }
    }

    #[test]
    fn damage_names_its_cure() {
        let source = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
        let text = StoreError::sqlite(Path::new("bascule.db"), "read rows", source).to_string();
        assert!(text.contains("`bascule.db` is damaged (Error code 11: database disk image is malformed)"), "{text}");
        assert!(text.contains("move it away"), "{text}");
    }
}
