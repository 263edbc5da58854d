//! The state file: what must survive a restart, in one SQLite database.
//!
//! *Architecture invariants:* one process owns the file, and one thread of it writes. What a method acknowledges is on the
//! disk: `kill -9` loses nothing of it. Nothing here decides anything; it keeps rows and gives them back.

mod apply;
mod error;
mod health;
mod open;
mod retention;
mod revision;
mod served;
mod thread;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use self::apply::{Apply, ApplyOutcome, Render};
pub use self::error::StoreError;
pub use self::open::SCHEMA_VERSION;
pub use self::revision::{RevisionOutcome, RevisionRow};
use self::thread::Connections;
use crate::core::health::{BackendHealth, Transition};
use crate::core::inventory::Desired;
use crate::core::model::{BackendName, Digest, EdgeName, FileSet, RevisionInfo, Timestamp};
use crate::core::routing::Plan;

/// A handle on the state file. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    connections: Arc<Connections>,
}

impl Store {
    /// Opens a state file, or makes one. It is refused, untouched, when it is another program's, of a newer bascule,
    /// damaged, or in use by another process.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = open::open(path)?;
        Ok(Self { connections: Arc::new(Connections::start(opened)) })
    }

    /// Writes everything into the main file and ends. Rows are safe without it; the next start is quicker with it.
    pub async fn close(self) {
        self.connections.close().await;
    }

    /// Keeps a revision with its raw files.
    pub async fn record_revision(
        &self,
        info: RevisionInfo,
        files: Arc<FileSet>,
        outcome: RevisionOutcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.connections.write(move |tx| revision::record(tx, &info, &files, &outcome, at)).await
    }

    /// The newest accepted revision with its files.
    pub async fn last_good_revision(&self) -> Result<Option<(RevisionInfo, FileSet)>, StoreError> {
        self.connections.read(revision::last_good).await
    }

    /// The newest revisions, newest first.
    pub async fn revisions(&self, limit: u32) -> Result<Vec<RevisionRow>, StoreError> {
        self.connections.read(move |db| revision::newest(db, limit)).await
    }

    /// Keeps what is served now, in place of what was, and forgets the health of backends that are no longer declared.
    pub async fn record_served(&self, desired: Arc<Desired>, plan: Arc<Plan>) -> Result<(), StoreError> {
        self.connections.write(move |tx| served::record(tx, &desired, &plan)).await
    }

    /// Keeps what is known of some backends.
    pub async fn record_health(&self, health: Vec<(BackendName, BackendHealth)>) -> Result<(), StoreError> {
        self.connections.write(move |tx| health::record(tx, &health)).await
    }

    /// What is known of every backend.
    pub async fn health(&self) -> Result<BTreeMap<BackendName, BackendHealth>, StoreError> {
        self.connections.read(health::all).await
    }

    /// Keeps changes of verdicts together with what is known of their backends, both or neither.
    pub async fn record_transitions(
        &self,
        transitions: Vec<Transition>,
        health: Vec<(BackendName, BackendHealth)>,
    ) -> Result<(), StoreError> {
        self.connections
            .write(move |tx| {
                health::record(tx, &health)?;
                health::record_transitions(tx, &transitions)
            })
            .await
    }

    /// The newest changes of verdicts, newest first; of one backend or of all.
    pub async fn transitions(&self, backend: Option<BackendName>, limit: u32) -> Result<Vec<Transition>, StoreError> {
        self.connections.read(move |db| health::transitions(db, backend.as_ref(), limit)).await
    }

    /// Keeps a rendered configuration.
    pub async fn record_render(&self, render: Render) -> Result<(), StoreError> {
        self.connections.write(move |tx| apply::record_render(tx, &render)).await
    }

    /// The bytes of a rendered configuration.
    pub async fn rendered(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.connections.read(move |db| apply::rendered(db, &digest)).await
    }

    /// Keeps what came of a pass over an edge.
    pub async fn record_apply(&self, apply: Apply) -> Result<(), StoreError> {
        self.connections.write(move |tx| apply::record(tx, &apply)).await
    }

    /// The newest passes over an edge, newest first.
    pub async fn applies(&self, edge: EdgeName, limit: u32) -> Result<Vec<Apply>, StoreError> {
        self.connections.read(move |db| apply::newest(db, &edge, limit)).await
    }

    /// The newest pass after which an edge was known to run what it should.
    pub async fn last_applied(&self, edge: EdgeName) -> Result<Option<Apply>, StoreError> {
        self.connections.read(move |db| apply::last_applied(db, &edge)).await
    }

    /// Checks the whole file.
    pub async fn integrity(&self) -> Result<(), StoreError> {
        let found = self.connections.read(open::integrity).await?;
        match found {
            None => Ok(()),
            Some(detail) => Err(StoreError::Damaged { path: self.connections.path().to_owned(), detail }),
        }
    }
}
