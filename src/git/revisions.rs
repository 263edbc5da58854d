use std::future::Future;
use std::sync::Arc;

use super::{Snapshot, Source, SourceError};
use crate::core::inventory::{Loaded, load};
use crate::core::model::{FileSet, Revision};

/// What the watcher needs of a source: a [`Source`], or a stand-in for it in a simulation.
pub trait Revisions: Send {
    /// Gives the newest revision, and its files unless it is `last`.
    fn fetch(&mut self, last: Option<Revision>) -> impl Future<Output = Result<Snapshot, SourceError>> + Send;

    /// Checks a revision. None where that ended in a panic.
    ///
    /// A large inventory takes seconds, so this is done beside the loops. A simulation does it in its one thread.
    fn check(&self, files: Arc<FileSet>, revision: Revision) -> impl Future<Output = Option<Loaded>> + Send {
        let checked = tokio::task::spawn_blocking(move || load(&files, revision));
        async { checked.await.ok() }
    }
}

impl Revisions for Source {
    fn fetch(&mut self, last: Option<Revision>) -> impl Future<Output = Result<Snapshot, SourceError>> + Send {
        Self::fetch(self, last)
    }
}
