//! A client that asks at a steady rate, whatever becomes of its requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::process::Fault;

/// 200 requests a second.
const PERIOD: Duration = Duration::from_millis(5);
/// Longest wait for an answer; what takes longer has failed.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// One request.
pub(crate) struct Seen {
    /// When it was due: a client that comes late itself does not hide a stall.
    pub(crate) due: Instant,
    pub(crate) took: Duration,
    /// Why it failed.
    pub(crate) fault: Option<String>,
}

pub(crate) struct Client {
    stop: CancellationToken,
    task: JoinHandle<()>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Client {
    /// Begins to ask for `host` on a port of 127.0.0.1, each time over a connection of its own.
    pub(crate) fn start(port: u16, host: &str) -> Self {
        let (stop, seen) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let request: Arc<str> = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into();
        let task = tokio::spawn(ask(port, request, stop.clone(), Arc::clone(&seen)));
        Self { stop, task, seen }
    }

    /// Ends once every request under way has.
    pub(crate) async fn stop(self) -> Result<Vec<Seen>, Fault> {
        self.stop.cancel();
        self.task.await?;
        Ok(std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

async fn ask(port: u16, request: Arc<str>, stop: CancellationToken, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        let due = tokio::select! {
            () = stop.cancelled() => break,
            due = ticks.tick() => due.into_std(),
        };
        while requests.try_join_next().is_some() {}
        let (request, seen) = (Arc::clone(&request), Arc::clone(&seen));
        requests.spawn(async move {
            let fault = match tokio::time::timeout(ANSWER_MAX, get(port, &request)).await {
                Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200 ") => None,
                Ok(Ok(answer)) => Some(answer.lines().next().unwrap_or("no answer").to_owned()),
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer in {ANSWER_MAX:?}")),
            };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { due, took: due.elapsed(), fault });
        });
    }
    requests.join_all().await;
}

async fn get(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
