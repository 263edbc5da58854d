use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Repository;
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::SourceError;

/// Keeps watching until it is dropped.
#[derive(Debug)]
pub struct WatchGuard {
    _watcher: notify::RecommendedWatcher,
}

/// Wakes `wake` soon after a local repository's branches, or a plain folder's files, have changed.
///
/// A wake-up says only that something may have changed. Several changes may share one.
pub fn watch_local(path: &Path, wake: Arc<Notify>) -> Result<WatchGuard, SourceError> {
    let failed = |source| SourceError::Watch { path: path.to_owned(), source };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reading a folder must not wake the reader again.
        let is_change = event.as_ref().map_or(true, |event| !matches!(event.kind, EventKind::Access(_)));
        if is_change {
            wake.notify_one();
        }
    })
    .map_err(failed)?;
    let mut is_watched = false;
    for (folder, mode) in folders(path) {
        if folder.is_dir() {
            watcher.watch(&folder, mode).map_err(failed)?;
            is_watched = true;
        }
    }
    if !is_watched {
        let source = notify::Error::path_not_found();
        return Err(SourceError::Watch { path: path.to_owned(), source });
    }
    Ok(WatchGuard { _watcher: watcher })
}

/// What changes with a branch: its file below `refs`, `packed-refs` in the repository's own folder, or the reference
/// tables. A linked work tree keeps all of it in the common folder.
fn folders(path: &Path) -> Vec<(PathBuf, RecursiveMode)> {
    match Repository::open(path) {
        Ok(repository) => {
            let common = repository.commondir();
            vec![
                (common.to_owned(), RecursiveMode::NonRecursive),
                (common.join("refs"), RecursiveMode::Recursive),
                (common.join("reftable"), RecursiveMode::Recursive),
            ]
        }
        Err(_) => vec![(path.to_owned(), RecursiveMode::Recursive)],
    }
}
