use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::repository::Read;
use super::{Credentials, Location, SourceError};
use crate::core::model::{FileSet, Limits, Revision, RevisionInfo};

/// Where an inventory is, and how it is reached.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// The repository or folder.
    pub location: Location,
    /// The branch to follow.
    pub branch: String,
    /// The inventory's folder in the repository; empty for its root.
    pub path: String,
    /// What a remote may ask for.
    pub credentials: Credentials,
    /// Bounds on what is read.
    pub limits: Limits,
    /// Where a remote repository is kept, bare. It may be removed at any time.
    pub cache: PathBuf,
    /// How long a whole read may take.
    pub timeout: Duration,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which revision.
    pub info: RevisionInfo,
    /// Its files; none when it is the one that the caller has.
    pub files: Option<FileSet>,
    /// How it stands to the one that the caller has.
    pub moved: Moved,
}

/// How a revision stands to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// There was none before.
    First,
    /// It is the same.
    Unchanged,
    /// It descends from the one before.
    Forward,
    /// It does not: somebody rewrote the branch.
    Rewritten,
}

/// Threads that hang in libgit2 and are left behind, at most. Each holds a socket and some memory for good.
const HUNG_MAX: usize = 3;
/// How long a read that is told to end may take over it, after its deadline.
const GRACE: Duration = Duration::from_secs(2);

/// Reads an inventory, again and again.
#[derive(Debug)]
pub struct Source {
    settings: Arc<SourceSettings>,
    hung: Arc<AtomicUsize>,
    /// Counts caches: a thread that hangs may still hold the one before.
    caches: usize,
}

impl Source {
    /// Prepares reading. Nothing is read.
    pub fn open(settings: SourceSettings) -> Result<Self, SourceError> {
        set_process_options(&settings).map_err(|error| SourceError::Repository {
            path: settings.cache.clone(),
            message: error.message().to_owned(),
        })?;
        Ok(Self { settings: Arc::new(settings), hung: Arc::default(), caches: 0 })
    }

    /// Reads the source. `last` is the revision that the caller has, which is not read again.
    ///
    /// Cancel-safe: a read that is no longer waited for ends by itself.
    pub async fn fetch(&mut self, last: Option<Revision>) -> Result<Snapshot, SourceError> {
        let hung = self.hung.load(Ordering::SeqCst);
        let url = || self.settings.location.shown();
        if hung >= HUNG_MAX {
            return Err(SourceError::Hung { url: url(), hung });
        }
        let limit = self.settings.timeout;
        let settings = Arc::clone(&self.settings);
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let _cancel_on_drop = CancelOnDrop(Arc::clone(&is_cancelled));
        let deadline = Instant::now() + limit;
        let (reply, answer) = oneshot::channel();
        let flag = Arc::clone(&is_cancelled);
        let count = Arc::clone(&self.hung);
        std::thread::spawn(move || {
            let read = Read { settings: &settings, last: last.as_ref(), deadline, is_cancelled: &flag };
            if reply.send(read.run()).is_err() {
                // Given up on and counted as hung, and yet it came back.
                let _ = count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |hung| hung.checked_sub(1));
            }
        });
        match tokio::time::timeout(limit + GRACE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SourceError::Unreachable { url: url(), message: "reading ended in a panic".to_owned() }),
            Err(_) => {
                self.hung.fetch_add(1, Ordering::SeqCst);
                self.leave_cache();
                Err(SourceError::Timeout { url: self.settings.location.shown(), limit })
            }
        }
    }

    /// The next read gets a cache of its own: the thread that hangs may hold locks in this one.
    fn leave_cache(&mut self) {
        self.caches += 1;
        let mut settings = (*self.settings).clone();
        settings.cache.set_extension(format!("{}.git", self.caches));
        self.settings = Arc::new(settings);
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sets what libgit2 keeps for the whole process: how long a server may be silent, and who may sign its certificates.
///
/// Without the first, a server that accepts and never answers holds its thread for ever.
#[expect(unsafe_code, reason = "libgit2's options are global, and git2 has no safe way to set them")]
fn set_process_options(settings: &SourceSettings) -> Result<(), git2::Error> {
    static GUARD: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let timeout = i32::try_from(settings.timeout.as_millis()).unwrap_or(i32::MAX);
    let _one_at_a_time = GUARD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: libgit2 asks that nobody else sets or reads these options meanwhile. They are set only here, under a lock,
    // and read as single integers and a path that OpenSSL copies when a connection is made.
    unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(timeout)?;
        git2::opts::set_server_timeout_in_milliseconds(timeout)?;
        if let Some(file) = &settings.credentials.ca_file {
            git2::opts::set_ssl_cert_file(file)?;
        }
    }
    Ok(())
}
