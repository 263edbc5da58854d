use std::future::Future;
use std::sync::Arc;

use super::{Snapshot, Source, SourceError};
use crate::core::inventory::{Composed, Loaded, Uncomposed, compose, load};
use crate::core::model::{Diagnostic, FileSet, Revision};

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

    /// Composes what can be served of a revision that has errors and of what was served last.
    fn compose(&self, faulty: Faulty, last_good: FileSet) -> impl Future<Output = Result<Composed, Uncomposed>> + Send {
        let composed = tokio::task::spawn_blocking(move || faulty.compose(&last_good));
        // A panic is no error of the revision.
        async { composed.await.unwrap_or(Err(Uncomposed::NoneFits)) }
    }
}

/// A revision that was checked and has errors.
#[derive(Debug, Clone)]
pub struct Faulty {
    /// Which one.
    pub revision: Revision,
    /// Its files.
    pub files: Arc<FileSet>,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Faulty {
    /// What can be served of it.
    pub fn compose(&self, last_good: &FileSet) -> Result<Composed, Uncomposed> {
        let Self { revision, files, diagnostics } = self;
        compose(files, revision, diagnostics, last_good)
    }
}

impl Revisions for Source {
    fn fetch(&mut self, last: Option<Revision>) -> impl Future<Output = Result<Snapshot, SourceError>> + Send {
        Self::fetch(self, last)
    }
}
