//! One process owns a state file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// The right to use a state file, for as long as it lives. The kernel takes it back when the process ends, however it
/// ends, so a lock is never left over.
#[derive(Debug)]
pub(super) struct Lock {
    /// Open, and thereby locked.
    _file: File,
}

impl Lock {
    /// A file of its own is locked, since SQLite locks the state file in ways of its own. It is never removed: a process
    /// that had opened it before would then lock a file that nobody else sees.
    pub(super) fn path(path: &Path) -> PathBuf {
        super::file::beside(path, ".lock")
    }

    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let io = |action| move |source| StoreError::Io { path: path.to_owned(), action, source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(Self::path(path))
            .map_err(io("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: path.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock the lock file")(source)),
        }
        let write_id = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write_id(&mut file).map_err(io("write the lock file"))?;
        Ok(Self { _file: file })
    }
}

/// Who has the lock, as far as the file says; it helps a person, and nothing depends on it.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
