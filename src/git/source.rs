//! The async door to the blocking libraries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::sync::oneshot;

use super::deadline::Deadline;
use super::{Fault, Location, SourceError, SourceSettings};
use super::{directory, libgit2, remote, repository, signature};
use crate::core::model::{FileSet, Revision, RevisionInfo};
use crate::core::trust::Distrust;

/// What a source held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision.
    pub info: RevisionInfo,
    /// Its files; none when it is the revision that the caller has, and none when it is not trusted.
    pub files: Option<FileSet>,
    /// How it stands to the revision that the caller has.
    pub moved: Moved,
    /// Messages of the commits that came since the revision that the caller has, newest first, and the ends of long ones;
    /// that of the newest commit where the caller has none. None for a directory.
    pub messages: Option<Vec<String>>,
    /// Why nobody who is trusted vouches for it; none where somebody does, or where nobody need.
    pub distrust: Option<Distrust>,
}

/// How a revision stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// There was none before, or it was of another kind of source.
    First,
    /// It is the same.
    Unchanged,
    /// It descends from the one before; for a directory: something changed.
    Forward,
    /// It does not: the branch was moved by force.
    Rewritten,
}

/// A place that gives inventories.
#[derive(Debug)]
pub struct Source {
    settings: Arc<SourceSettings>,
    /// Threads of fetches that have not ended.
    running: Arc<AtomicUsize>,
}

/// Fetches given up while their thread hangs. Each keeps a thread and a connection until libgit2 notices; more of them would
/// not make the remote answer.
const ABANDONED_MAX: usize = 3;

impl Source {
    /// Checks what can be checked without asking the source.
    pub fn open(settings: SourceSettings) -> Result<Self, SourceError> {
        libgit2::prepare();
        if let (Location::Remote(_), Some(file)) = (&settings.location, &settings.credentials.ca_file) {
            libgit2::trust(file)?;
        }
        if let Location::Directory(path) = &settings.location {
            let flags = [
                ("--allowed-signers", settings.allowed_signers.is_some()),
                ("--allowed-pgp-keys", settings.allowed_pgp_keys.is_some()),
            ];
            if let Some((flag, _)) = flags.into_iter().find(|(_, is_given)| *is_given) {
                return Err(SourceError::Unsignable { path: path.clone(), flag });
            }
        }
        signature::trusted(&settings)?;
        Ok(Self { settings: Arc::new(settings), running: Arc::default() })
    }

    /// Gives the newest revision, and its files unless it is `last`.
    ///
    /// Can be dropped at any time: the fetch then stops at its next look at the clock. One that hangs past its deadline is
    /// abandoned, and the next one starts with a thread and a handle of the cache of its own.
    pub async fn fetch(&mut self, last: Option<Revision>) -> Result<Snapshot, SourceError> {
        let place = || self.settings.location.to_string();
        let abandoned = self.running.load(Ordering::Acquire);
        if abandoned >= ABANDONED_MAX {
            return Err(SourceError::StillHung { place: place(), count: abandoned });
        }
        let timeout = self.settings.timeout;
        let (deadline, _waiting) = Deadline::after(timeout);
        let job = Job { settings: Arc::clone(&self.settings), last, deadline, alone: abandoned == 0 };
        let (answer_tx, answer) = oneshot::channel();
        let running = Running::new(&self.running);
        let work = move || {
            let result = job.run();
            // Before the answer, so that a caller who has it never counts this thread.
            drop(running);
            // Nobody listens any more when the fetch was given up.
            let _ = answer_tx.send(result);
        };
        let builder = thread::Builder::new().name("bascule-fetch".to_owned());
        builder.spawn(work).map_err(|source| SourceError::Thread { source })?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SourceError::NoAnswer { place: place() }),
            Err(_) => Err(SourceError::Timeout { place: place(), after: timeout }),
        }
    }
}

/// Counts a thread while it runs, also when it ends in a panic.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One fetch, on its own thread.
pub(super) struct Job {
    pub(super) settings: Arc<SourceSettings>,
    pub(super) last: Option<Revision>,
    pub(super) deadline: Deadline,
    /// No abandoned fetch can be at work in the same cache.
    pub(super) alone: bool,
}

impl Job {
    fn run(&self) -> Result<Snapshot, SourceError> {
        match &self.settings.location {
            Location::Remote(url) => remote::fetch(self, url),
            Location::Local(path) => repository::fetch_local(self, path),
            Location::Directory(path) => directory::fetch(self, path),
        }
    }

    /// The source, for people.
    pub(super) fn place(&self) -> String {
        self.settings.location.to_string()
    }

    /// A message without the credentials of this source.
    pub(super) fn fault(&self, error: &git2::Error) -> Fault {
        let mut message = error.message().to_owned();
        if let Location::Remote(url) = &self.settings.location {
            message = message.replace(url.as_str(), &self.place());
        }
        for secret in self.settings.credentials.secrets() {
            message = message.replace(secret, "(secret)");
        }
        Fault::new(message)
    }

    /// Objects or references cannot be read.
    pub(super) fn broken(&self, error: &git2::Error) -> SourceError {
        let source = self.fault(error);
        match &self.settings.location {
            Location::Remote(_) => SourceError::Cache { cache: self.settings.cache.clone(), source },
            Location::Local(_) | Location::Directory(_) => SourceError::Repository { place: self.place(), source },
        }
    }

    /// An error once the time is over or the caller gone.
    pub(super) fn in_time(&self) -> Result<(), SourceError> {
        if self.deadline.is_over() {
            return Err(SourceError::Timeout { place: self.place(), after: self.settings.timeout });
        }
        Ok(())
    }
}
