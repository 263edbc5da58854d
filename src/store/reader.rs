//! The one thread that reads.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::lock::Lock;

/// Queries that may wait. The start and the edge workers ask a handful; what is beyond waits.
pub(super) const QUEUE: usize = 64;

/// What the thread is told.
pub(super) enum Command {
    /// One query; it carries its own way to answer.
    Query(Box<dyn FnOnce(&Connection) + Send>),
    /// End, after all that was queued before.
    Stop(oneshot::Sender<()>),
}

/// Runs until it is told to stop, or until nobody is left who could tell it anything. It shares the lock, so that no other
/// process comes while this one still reads.
pub(super) fn run(connection: Connection, mut commands: mpsc::Receiver<Command>, lock: Arc<Lock>) {
    let mut stop = None;
    while stop.is_none()
        && let Some(command) = commands.blocking_recv()
    {
        stop = serve(&connection, command);
    }
    commands.close();
    drop((connection, lock));
    if let Some(reply) = stop {
        // Whoever asked may have left.
        let _ = reply.send(());
    }
}

/// [`run`] as a task.
pub(super) async fn run_here(connection: Connection, mut commands: mpsc::Receiver<Command>, lock: Arc<Lock>) {
    let mut stop = None;
    while stop.is_none()
        && let Some(command) = commands.recv().await
    {
        stop = serve(&connection, command);
    }
    commands.close();
    drop((connection, lock));
    if let Some(reply) = stop {
        let _ = reply.send(());
    }
}

/// Answers a query; a stop is handed back.
fn serve(connection: &Connection, command: Command) -> Option<oneshot::Sender<()>> {
    match command {
        Command::Query(query) => {
            query(connection);
            None
        }
        Command::Stop(reply) => Some(reply),
    }
}
