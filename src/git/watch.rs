//! Says when a local source may have changed.
//!
//! A wake carries no input: it only makes the next fetch come at once. The system's events are handled on the watcher's own
//! thread, so that a wake takes a few milliseconds. A second thread looks after the watches: those of a folder that was deleted
//! or replaced are dead, and those of a new folder come too late for what was put into it at once.

mod interest;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use notify::{Config, Event, RecommendedWatcher, Watcher as _};
use tokio::sync::Notify;

use self::interest::Interest;
use super::SourceError;

/// A folder that was replaced is noticed within this time, at the price of a few `stat` calls. Nothing tells of it: the watch is
/// on the old folder.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct WatchGuard {
    stopped: Arc<AtomicBool>,
    nudge: SyncSender<()>,
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // A full channel wakes the thread just as well.
        let _ = self.nudge.try_send(());
    }
}

/// Wakes `wake` whenever `branch` of the repository at `path` may have moved, or, where `path` is a plain folder, whenever
/// something below it changed.
pub fn watch_local(path: &Path, branch: &str, wake: Arc<Notify>) -> Result<WatchGuard, SourceError> {
    watch(path, Some(branch.to_owned()), wake)
}

/// Wakes `wake` whenever a file below the folder may have changed, be it a work tree or not.
pub fn watch_folder(path: &Path, wake: Arc<Notify>) -> Result<WatchGuard, SourceError> {
    watch(path, None, wake)
}

fn watch(path: &Path, branch: Option<String>, wake: Arc<Notify>) -> Result<WatchGuard, SourceError> {
    // Events have absolute paths, and are held against this one.
    let path = &std::path::absolute(path)
        .map_err(|source| SourceError::Watch { path: path.to_owned(), source: notify::Error::io(source) })?;
    // One pending nudge says all: watches are looked at as a whole.
    let (nudge, nudged) = sync_channel(1);
    let stopped = Arc::new(AtomicBool::new(false));
    let interest = Interest::of(path, branch.as_deref())
        .map_err(|source| SourceError::Watch { path: path.clone(), source: notify::Error::io(source) })?;
    let signals = Signals { wake, nudge: nudge.clone(), stopped: Arc::clone(&stopped) };
    let armed = Armed::new(interest, &signals).map_err(|source| SourceError::Watch { path: path.clone(), source })?;
    let keeper = Keeper { path: path.clone(), branch, signals, nudged, armed };
    let builder = thread::Builder::new().name("bascule-watch".to_owned());
    builder.spawn(move || keeper.run()).map_err(|source| SourceError::Thread { source })?;
    Ok(WatchGuard { stopped, nudge })
}

/// What an event sets off.
#[derive(Debug, Clone)]
struct Signals {
    wake: Arc<Notify>,
    nudge: SyncSender<()>,
    stopped: Arc<AtomicBool>,
}

impl Signals {
    fn wake(&self) {
        if !self.stopped.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    fn take(&self, event: notify::Result<Event>, interest: &Interest) {
        let Ok(event) = event else {
            // Events were lost: look at everything.
            let _ = self.nudge.try_send(());
            return self.wake();
        };
        if event.need_rescan() || interest.is_concerned(&event) {
            self.wake();
        }
        if event.need_rescan() || interest.is_structural(&event) {
            let _ = self.nudge.try_send(());
        }
    }
}

/// Tells a folder from another one at the same place. The creation time is part of it: file systems give out inode numbers again.
type Identity = Option<(u64, u64, Option<SystemTime>)>;

fn identity(path: &Path) -> Identity {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// One set of watches. Gone when dropped.
struct Armed {
    identities: Vec<(PathBuf, Identity)>,
    _watcher: RecommendedWatcher,
}

impl Armed {
    fn new(interest: Interest, signals: &Signals) -> notify::Result<Self> {
        let targets = interest.targets();
        let signals = signals.clone();
        let handler = move |event| signals.take(event, &interest);
        let mut watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
        // Before the watches: a folder replaced in between then differs from what was noted, and is watched again.
        let mut identities = Vec::new();
        for (path, mode) in targets {
            let identity = identity(&path);
            if identity.is_some() {
                watcher.watch(&path, mode)?;
            }
            identities.push((path, identity));
        }
        Ok(Self { identities, _watcher: watcher })
    }

    fn is_stale(&self) -> bool {
        self.identities.iter().any(|(path, then)| identity(path) != *then)
    }
}

/// Looks after the watches.
struct Keeper {
    path: PathBuf,
    branch: Option<String>,
    signals: Signals,
    nudged: Receiver<()>,
    armed: Armed,
}

impl Keeper {
    fn run(mut self) {
        let mut is_broken = false;
        loop {
            let is_nudged = self.nudged.recv_timeout(LOOK_EVERY).is_ok();
            if self.signals.stopped.load(Ordering::Acquire) {
                return;
            }
            if !is_nudged && !is_broken && !self.armed.is_stale() {
                continue;
            }
            let renewed = Interest::of(&self.path, self.branch.as_deref())
                .map_err(notify::Error::io)
                .and_then(|interest| Armed::new(interest, &self.signals));
            let was_broken = is_broken;
            is_broken = match renewed {
                Ok(armed) => {
                    self.armed = armed;
                    false
                }
                // Not there, or no watches left: tried again at the next look.
                Err(_) => true,
            };
            // Whatever happened between the old watches and the new ones; and once when they are lost.
            if !(was_broken && is_broken) {
                self.signals.wake();
            }
        }
    }
}
