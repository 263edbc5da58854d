//! The clients: an open loop. Every request has its moment, whatever became of those before it, and its latency counts from
//! that moment; so a stall costs every request that falls into it.

mod connection;
mod requests;
mod streams;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::connection::Pool;
use self::requests::{Asked, Id};
use super::namespace::Namespace;

/// The public name that clients ask for.
pub(crate) const DOMAIN: &str = "www.acecinema.fr";
/// Between two downloads. Each takes two seconds, so about five are always in flight.
const DOWNLOAD_EVERY: Duration = Duration::from_millis(400);
/// WebSockets, and as many event streams: one for each backend, if they are spread evenly.
const STREAMS: usize = 9;

/// What load is offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    /// Short requests a second.
    pub(crate) rate: u32,
    /// How long a client waits for a whole answer.
    pub(crate) patience: Duration,
}

/// What kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Post,
    Download,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No connection to the edge.
    Connect,
    /// The connection ended before an answer.
    Closed,
    /// The answer ended before its end.
    Truncated,
    /// No whole answer within the client's patience.
    Late,
    /// A status other than 200.
    Status(u16),
    /// An answer that does not fit the request: part of its body never arrived at the backend.
    Wrong,
}

/// A request that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// When it was meant to begin.
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) failure: Option<Failure>,
    /// Who answered, as far as that was seen.
    pub(crate) backend: Option<String>,
    /// A GET that was sent twice by the client: its kept connection had been closed meanwhile (RFC 9110, section 9.2.2).
    pub(crate) resent: bool,
}

/// What kind of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    WebSocket,
    Events,
}

/// A stream that ended, or fell silent for as long as a client waits, before the client was done with it.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) kind: StreamKind,
    pub(crate) backend: String,
    pub(crate) at: Instant,
}

/// Everything that the clients saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Request>,
    pub(crate) lost: Vec<Lost>,
    /// Streams that have been open, by backend.
    pub(crate) streams: Vec<(StreamKind, String)>,
    /// The longest that a request was begun late by: how busy the machine was, whoever kept it so.
    pub(crate) late: Duration,
}

/// What all clients of a load share.
struct Shared {
    offer: Offer,
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_late(&self, late: Duration) {
        let mut seen = self.seen();
        seen.late = seen.late.max(late);
    }
}

/// Running clients. They stop when this is dropped.
pub(crate) struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts the clients, in the namespace of the world's client. `run` keeps the ids of requests apart.
    pub(crate) fn start(client: &Namespace, offer: Offer, run: &str) -> Self {
        let (seen, stop) = (Arc::default(), CancellationToken::new());
        let shared = Shared { offer, seen: Arc::clone(&seen), stop: stop.clone() };
        let (namespace, run) = (client.name().to_owned(), run.to_owned());
        let thread = std::thread::spawn(move || {
            super::namespace::enter(&namespace);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(offer_load(Arc::new(shared), &run));
        });
        Self { seen, stop, thread: Some(thread) }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins nothing any more, waits for what is in flight, and tells all that was seen.
    pub(crate) fn stop(mut self) -> Seen {
        self.end();
        self.seen().clone()
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("a client panicked");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

async fn offer_load(shared: Arc<Shared>, run: &str) {
    let pool = Arc::new(Pool::default());
    let mut tasks = JoinSet::new();
    for number in 0..STREAMS {
        tasks.spawn(streams::keep(StreamKind::WebSocket, number, Arc::clone(&shared)));
        tasks.spawn(streams::keep(StreamKind::Events, number, Arc::clone(&shared)));
    }
    let start = Instant::now();
    let (every, mut number, mut next_download) = (Duration::from_secs(1) / shared.offer.rate, 0_u32, start);
    loop {
        let begun = start + every * number;
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = tokio::time::sleep_until(begun.into()) => {}
        }
        let late = begun.elapsed();
        shared.note_late(late);
        let id = Id { run: run.to_owned(), number };
        tasks.spawn(requests::ask(Asked::at(number), begun, id, Arc::clone(&pool), Arc::clone(&shared)));
        if begun >= next_download {
            next_download += DOWNLOAD_EVERY;
            let id = Id { run: run.to_owned(), number };
            tasks.spawn(requests::ask(Asked::DOWNLOAD, begun, id, Arc::clone(&pool), Arc::clone(&shared)));
        }
        number += 1;
        while let Some(ended) = tasks.try_join_next() {
            ended.expect("a client does not panic");
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a client does not panic");
    }
}
