//! The one thread that writes.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::lock::Lock;
use super::{CommitDelay, StoreError};

/// Writes that may wait. Every caller waits for its answer, so there are about as many as there are loops: one for each
/// edge and a few more. A full queue means that the disk does not keep up; then callers wait, and nothing piles up.
pub(super) const QUEUE: usize = 64;
/// Writes that share a commit, at most: one flush serves all that queued up during the one before. It bounds how long the
/// first of them waits for the last.
const GROUP: usize = 32;

type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// One write, and whom to tell once it is on the disk.
pub(super) struct Write {
    pub(super) action: &'static str,
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// What the thread is told.
pub(super) enum Command {
    Write(Write),
    /// End, after all that was queued before.
    Stop(oneshot::Sender<()>),
}

/// The thread's own things.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) lock: Arc<Lock>,
}

impl Writer {
    /// Runs until it is told to stop, or until nobody is left who could tell it anything.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut received = Vec::with_capacity(GROUP);
        let mut stop = None;
        while stop.is_none() && commands.blocking_recv_many(&mut received, GROUP) > 0 {
            stop = self.serve(&mut received);
        }
        self.leave(commands, stop);
    }

    /// [`Self::run`] as a task; each commit takes the time that `delay` says.
    pub(super) async fn run_here(mut self, mut commands: mpsc::Receiver<Command>, mut delay: CommitDelay) {
        let mut received = Vec::with_capacity(GROUP);
        let mut stop = None;
        while stop.is_none() && commands.recv_many(&mut received, GROUP).await > 0 {
            tokio::time::sleep(delay()).await;
            stop = self.serve(&mut received);
        }
        self.leave(commands, stop);
    }

    /// Commits what was received; tells whether a stop was among it.
    fn serve(&mut self, received: &mut Vec<Command>) -> Option<oneshot::Sender<()>> {
        let mut stop = None;
        let mut group = Vec::with_capacity(received.len());
        for command in received.drain(..) {
            match command {
                // Whoever comes after the stop is told that the file is closed, by the dropped reply.
                Command::Write(_) if stop.is_some() => {}
                Command::Write(write) => group.push(write),
                Command::Stop(reply) => stop = Some(reply),
            }
        }
        self.commit(group);
        stop
    }

    fn leave(self, mut commands: mpsc::Receiver<Command>, stop: Option<oneshot::Sender<()>>) {
        commands.close();
        self.end();
        if let Some(reply) = stop {
            // Whoever asked may have left.
            let _ = reply.send(());
        }
    }

    /// Commits writes together, then answers each: what failed is undone alone, what succeeded is on the disk.
    fn commit(&mut self, group: Vec<Write>) {
        let mut waiting = Vec::with_capacity(group.len());
        let mut works = Vec::with_capacity(group.len());
        for Write { action, work, reply } in group {
            waiting.push((action, reply));
            works.push(work);
        }
        let committed = transact(&mut self.connection, works).map_err(Arc::new);
        let mut results = committed.map(Vec::into_iter);
        for (action, reply) in waiting {
            let result = match &mut results {
                Ok(results) => {
                    results.next().unwrap_or(Ok(())).map_err(|source| StoreError::sqlite(&self.path, action, source))
                }
                Err(source) => Err(StoreError::Commit { path: self.path.clone(), source: Arc::clone(source) }),
            };
            // A caller that was cut off does not wait any more; its write stands all the same.
            let _ = reply.send(result);
        }
    }

    /// Takes the log into the file, so that a copy of the file alone is whole, and lets the file go.
    fn end(self) {
        let Self { path, connection, lock } = self;
        let checkpoint = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = checkpoint.and_then(|()| connection.close().map_err(|(_, error)| error)) {
            // The rows are safe: the next start reads them from the log.
            warn!(path = %path.display(), %error, "the state file's log was not taken in");
        }
        drop(lock);
    }
}

/// Runs all works in one transaction, each so that its failure undoes it alone. An error is one of the whole transaction.
fn transact(connection: &mut Connection, works: Vec<Work>) -> rusqlite::Result<Vec<rusqlite::Result<()>>> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(works.len());
    for work in works {
        let savepoint = transaction.savepoint()?;
        let result = match work(&savepoint) {
            Ok(()) => savepoint.commit(),
            Err(error) => {
                drop(savepoint); // Undone.
                Err(error)
            }
        };
        // A full disk, an I/O error or no memory may end the whole transaction (SQLite documentation, "Transactions",
        // section 3.1); what came after would be committed outside of it, and what came before is gone.
        if transaction.is_autocommit() {
            result?;
            return Err(rusqlite::Error::InvalidQuery);
        }
        results.push(result);
    }
    transaction.commit()?;
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().expect("opens");
        connection.execute_batch("CREATE TABLE a (n INTEGER PRIMARY KEY)").expect("creates");
        connection
    }

    fn insert(number: i64) -> Work {
        Box::new(move |connection| connection.execute("INSERT INTO a VALUES (?1)", [number]).map(drop))
    }

    fn numbers(connection: &Connection) -> Vec<i64> {
        let mut query = connection.prepare("SELECT n FROM a ORDER BY n").expect("a query");
        let rows = query.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("numbers")
    }

    #[test]
    fn a_failure_undoes_one_write_alone() {
        let mut connection = connection();
        let half: Work = Box::new(|connection| {
            connection.execute("INSERT INTO a VALUES (7)", [])?;
            connection.execute("INSERT INTO nothing VALUES (8)", []).map(drop)
        });
        let results = transact(&mut connection, vec![insert(1), half, insert(1), insert(2)]).expect("commits");
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!(numbers(&connection), [1, 2]);
    }

    #[test]
    fn a_lost_transaction_fails_all_of_its_writes() {
        let mut connection = connection();
        // What SQLite does by itself when the disk is full.
        let lose: Work = Box::new(|connection| connection.execute_batch("ROLLBACK"));
        transact(&mut connection, vec![insert(1), lose, insert(2)]).expect_err("it was rolled back");
        assert_eq!(numbers(&connection), [] as [i64; 0]);
        transact(&mut connection, vec![insert(3)]).expect("the next one is whole");
        assert_eq!(numbers(&connection), [3]);
    }
}
