//! The two threads that own the connections: one writes, one reads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::open::Opened;

/// Commands that may wait. The loops write a few times a second and wait for each answer, so a full queue means that the
/// disk has stopped, and waiting is then all that is left to do.
const QUEUE: usize = 64;
/// Writes that share one commit, at most: one flush to the disk serves all that queued up during the one before.
const GROUP: usize = 32;

type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

struct Write {
    work: Work,
    reply: oneshot::Sender<rusqlite::Result<()>>,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

struct Running {
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    threads: [JoinHandle<()>; 2],
}

/// The way to both threads. They end when it is closed or dropped.
pub(super) struct Connections {
    path: PathBuf,
    running: Mutex<Option<Running>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Connections {
    pub(super) fn start(opened: Opened) -> Self {
        let Opened { path, mut writer, reader, lock } = opened;
        let (writes, mut write_queue) = mpsc::channel::<Write>(QUEUE);
        let (reads, mut read_queue) = mpsc::channel::<Read>(QUEUE);
        let write_thread = std::thread::spawn(move || {
            let _held_to_the_end = lock;
            let mut group = Vec::with_capacity(GROUP);
            while write_queue.blocking_recv_many(&mut group, GROUP) > 0 {
                commit(&mut writer, group.drain(..));
            }
            // Into the main file, so that a copy of that file alone is whole. A failure loses nothing.
            let _ = writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        });
        let read_thread = std::thread::spawn(move || {
            while let Some(work) = read_queue.blocking_recv() {
                work(&reader);
            }
        });
        let running = Running { writes, reads, threads: [write_thread, read_thread] };
        Self { path, running: Mutex::new(Some(running)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a write and answers once it is on the disk. A write that fails leaves nothing of itself behind.
    pub(super) async fn write(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let queue = self.queue(|running| running.writes.clone())?;
        let (reply, answer) = oneshot::channel();
        queue.send(Write { work: Box::new(work), reply }).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?.map_err(|source| self.failed(source))
    }

    /// Runs a query over what has been committed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let queue = self.queue(|running| running.reads.clone())?;
        let (reply, answer) = oneshot::channel();
        let work = move |db: &Connection| {
            // Nobody waits any more when the caller was cut off; the answer is then of no use.
            let _ = reply.send(work(db));
        };
        queue.send(Box::new(work)).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?.map_err(|source| self.failed(source))
    }

    /// Ends both threads, after what is queued.
    pub(super) async fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { writes, reads, threads }) = running else { return };
        drop((writes, reads));
        // A thread that panicked has ended too.
        let join = || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }

    fn queue<T>(&self, take: impl FnOnce(&Running) -> T) -> Result<T, StoreError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(take).ok_or_else(|| self.closed())
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.path.clone() }
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), source }
    }
}

/// Commits a group of writes together and then answers each: what failed is undone alone, what succeeded is on the disk.
fn commit(db: &mut Connection, group: impl Iterator<Item = Write>) {
    let mut tx = match db.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        Err(error) => {
            let replies = group.map(|write| (write.reply, Ok(())));
            return answer(replies, Some(&error));
        }
    };
    let mut replies = Vec::new();
    for Write { work, reply } in group {
        let result = tx.savepoint().and_then(|savepoint| {
            // A savepoint that is dropped is undone.
            work(&savepoint)?;
            savepoint.commit()
        });
        replies.push((reply, result));
    }
    let committed = tx.commit();
    answer(replies.into_iter(), committed.as_ref().err());
}

type Reply = (oneshot::Sender<rusqlite::Result<()>>, rusqlite::Result<()>);

fn answer(replies: impl Iterator<Item = Reply>, failure: Option<&rusqlite::Error>) {
    for (reply, result) in replies {
        let result = match failure {
            None => result,
            Some(rusqlite::Error::SqliteFailure(code, words)) => {
                Err(rusqlite::Error::SqliteFailure(*code, words.clone()))
            }
            Some(_) => result.and(Err(rusqlite::Error::InvalidQuery)),
        };
        // Nobody waits any more when the caller was cut off; the write stands all the same.
        let _ = reply.send(result);
    }
}
