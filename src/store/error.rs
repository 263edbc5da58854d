use std::path::PathBuf;

use thiserror::Error;

/// Why the state file cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder or the file cannot be reached.
    #[error("cannot open the state file `{}`", path.display())]
    Io {
        /// The state file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("the state file `{}` is in use by another process; give each bascule its own with `--state`", path.display())]
    InUse {
        /// The state file.
        path: PathBuf,
    },
    /// It belongs to another program.
    #[error("`{}` is not a state file of bascule; it was not touched. Name another file with `--state`", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer bascule made it.
    #[error(
        "the state file `{}` is of version {found}, and this bascule knows up to {known}; run the newer bascule, or move the file away",
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
    /// It is damaged.
    #[error(
        "the state file `{}` is damaged ({detail}); move it away and start again: git and probes fill a new one",
        path.display()
    )]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// SQLite refused something.
    #[error("the state file `{}` failed", path.display())]
    Sqlite {
        /// The state file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file is being closed.
    #[error("the state file `{}` is closed", path.display())]
    Closed {
        /// The state file.
        path: PathBuf,
    },
}
