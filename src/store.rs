//! The state file: what must survive a restart, in one SQLite database.
//!
//! *Architecture invariants:* one process owns the file, and one thread of it writes. What a method has acknowledged is on
//! the disk: neither `kill -9` nor a power cut takes it back. Nothing here decides anything; it keeps rows and gives them
//! back. All of it can be rebuilt from git and probes, so a file in doubt is refused rather than mended.

mod apply;
mod column;
mod edge;
mod edge_quarantine;
mod error;
mod event;
mod file;
mod health;
mod lock;
mod meta;
mod migrate;
mod overrides;
mod reader;
mod render;
mod revision;
mod served;
mod steps;
mod transition;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use self::apply::{Apply, ApplyOutcome};
pub use self::error::{StoreError, StoreFault};
pub use self::migrate::SCHEMA_VERSION;
pub use self::render::Render;
pub use self::revision::{RevisionOutcome, RevisionRow};
pub use self::served::{Served, ServedBackend, ServedService, ServedSite};
use self::writer::Writer;

/// A handle on the state file. Clones share it, and the last one that is dropped lets the file go, a moment later;
/// [`Store::close`] waits for that.
///
/// A method that writes returns once its rows are on the disk. When its future is dropped before that, the rows may be
/// written or not, but never in part.
#[derive(Clone)]
pub struct Store {
    path: Arc<Path>,
    writer: mpsc::Sender<writer::Command>,
    reader: mpsc::Sender<reader::Command>,
    /// Where long work outside of both loops is done.
    bench: Bench,
}

/// Where work is done that is neither a write nor a query.
#[derive(Debug, Clone, Copy)]
enum Bench {
    /// In a thread of the runtime's.
    Threads,
    /// Where it is asked for.
    Here,
}

/// How long the next commit takes.
pub type CommitDelay = Box<dyn FnMut() -> Duration + Send>;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a state file, or makes one, and its folder. Blocks while the file is looked through: it is refused, and stays
    /// as it is, when it is another program's, a newer bascule's, damaged, or in use by another process.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file::Opened { path, writer, reader, lock } = file::open(path)?;
        let lock = Arc::new(lock);
        let (writer_tx, writer_rx) = mpsc::channel(writer::QUEUE);
        let (reader_tx, reader_rx) = mpsc::channel(reader::QUEUE);
        let writer = Writer { path: path.clone(), connection: writer, lock: Arc::clone(&lock) };
        start("store-writer", &path, move || writer.run(writer_rx))?;
        start("store-reader", &path, move || reader::run(reader, reader_rx, lock))?;
        Ok(Self { path: path.into(), writer: writer_tx, reader: reader_tx, bench: Bench::Threads })
    }

    /// The same without threads, for a simulation with a clock of its own: all work is done by the future that is given
    /// back with the handle, and each commit takes as long as `delay` says, so that every answer comes at the same step of
    /// each run. A crash is to drop the future: what was not acknowledged by then may be lost.
    pub fn open_here(
        path: &Path,
        delay: CommitDelay,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), StoreError> {
        let file::Opened { path, writer, reader, lock } = file::open(path)?;
        let lock = Arc::new(lock);
        let (writer_tx, writer_rx) = mpsc::channel(writer::QUEUE);
        let (reader_tx, reader_rx) = mpsc::channel(reader::QUEUE);
        let writer = Writer { path: path.clone(), connection: writer, lock: Arc::clone(&lock) };
        let work = async move {
            tokio::join!(writer.run_here(writer_rx, delay), reader::run_here(reader, reader_rx, lock));
        };
        Ok((Self { path: path.into(), writer: writer_tx, reader: reader_tx, bench: Bench::Here }, work))
    }

    /// Finishes what is queued, takes the log into the file and lets it go. Rows are safe without it; a copy of the file
    /// alone is whole with it. Other clones find the store closed from then on.
    pub async fn close(self) {
        // The reader first: the log can be taken in only when nobody reads from it. One that has ended needs no telling.
        let (reply, ended) = oneshot::channel();
        if self.reader.send(reader::Command::Stop(reply)).await.is_ok() {
            let _ = ended.await;
        }
        let (reply, ended) = oneshot::channel();
        if self.writer.send(writer::Command::Stop(reply)).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares every row with every index and reference of it. Takes seconds on a large file, beside everything else.
    pub async fn integrity(&self) -> Result<(), StoreError> {
        let path = self.path.to_path_buf();
        self.blocking(move || file::check_integrity(&path)).await?
    }

    /// Runs a write and returns once it is on the disk. One that fails leaves nothing of itself.
    async fn write(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let write = writer::Write { action, work: Box::new(work), reply };
        self.writer.send(writer::Command::Write(write)).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Runs a query over one moment's committed rows.
    async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let query = move |connection: &Connection| {
            // In a transaction several statements see the same moment; it ends when it is dropped.
            let result = connection.unchecked_transaction().and_then(|transaction| work(&transaction));
            // A caller that was cut off does not wait any more.
            let _ = reply.send(result);
        };
        self.reader.send(reader::Command::Query(Box::new(query))).await.map_err(|_| self.closed())?;
        let result = answer.await.map_err(|_| self.closed())?;
        result.map_err(|source| StoreError::sqlite(&self.path, action, source))
    }

    /// Runs something long outside of both threads, such as reading what rows hold.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.bench {
            // It ends without a result only while the process is shutting down.
            Bench::Threads => tokio::task::spawn_blocking(work).await.map_err(|_| self.closed()),
            Bench::Here => Ok(work()),
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.path.to_path_buf() }
    }
}

fn start(name: &str, path: &Path, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(|source| StoreError::Io { path: PathBuf::from(path), action: "start a thread", source })
}
