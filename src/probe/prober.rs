//! The loop: takes sets in, starts what is due, sends samples.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_native_tls::native_tls;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::attempt::{Attempt, Kept, Means, attempt};
use super::dial::Connectors;
use super::schedule::{Bounds, Schedule, Start, Ticket};
use super::secrets::{SecretReader, Secrets};
use super::stats::ProberStats;
use super::suspicions::Suspicions;
use super::target::ProbeSet;
use crate::core::health::{Failure, Outcome, Sample, SecretFaults, Vantage};
use crate::core::model::{BackendName, Timestamp};

/// A good bound for the channel of samples: half a second of 2,000 probes a second, 10,000 backends each 5 s. A receiver
/// that writes to a disk may pause for that long and not be felt; one that pauses for longer slows probing down, which
/// the lag shows.
pub const SAMPLES_BOUND: usize = 1024;

/// Probes at a time. 2,000 a second that take a millisecond need two; the rest is for those that time out: with 512
/// slots and a timeout of 1 s, 512 backends a second may be silent before others wait.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");

/// Backends that are asked at their fast interval at a time: a thousand probes a second more, half of what 10,000 backends
/// cost. What fails because the prober itself is overloaded must not make it probe more and more.
const FAST: usize = 1_000;

/// Connections kept between probes: enough for the 10,000 backends that this program is made for.
const IDLE_CONNECTIONS: usize = 16_384;

/// Files that everything else of the process may need: listeners, clients, the state file, git.
const OTHER_FILES: u64 = 256;

/// The prober's own faults are over when none has come for so long: near a limit they come and go.
const FAULT_QUIET: Duration = Duration::from_mins(1);

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the prober works.
#[derive(Clone)]
pub struct ProberSettings {
    /// Probes that run at once.
    pub concurrency: NonZeroUsize,
    /// Connections that are kept between probes, one for each thing that a backend is asked. Those beyond are closed after each probe.
    pub idle_connections: usize,
    /// Stamps samples.
    pub clock: Clock,
    /// What probes may send though no repository has it.
    pub secrets: Secrets,
}

impl ProberSettings {
    /// The defaults: 512 probes at once, a connection kept for each of 16,384 backends.
    pub fn new(clock: Clock) -> Self {
        Self { concurrency: CONCURRENCY, idle_connections: IDLE_CONNECTIONS, clock, secrets: Secrets::default() }
    }

    /// Keeps no more connections than this limit on open files has room for, beside the probes that run and 256 other
    /// files. Without it, a low limit would be used up by idle connections and no probe could be made at all.
    #[must_use]
    pub fn within_open_files(self, limit: u64) -> Self {
        let taken = OTHER_FILES + u64::try_from(self.concurrency.get()).unwrap_or(u64::MAX - OTHER_FILES);
        let room = usize::try_from(limit.saturating_sub(taken)).unwrap_or(usize::MAX);
        Self { idle_connections: self.idle_connections.min(room), ..self }
    }
}

impl fmt::Debug for ProberSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concurrency, idle_connections, clock: _, secrets: _ } = self;
        f.debug_struct("ProberSettings")
            .field("concurrency", concurrency)
            .field("idle_connections", idle_connections)
            .finish_non_exhaustive()
    }
}

/// The prober could not be made.
#[derive(Debug, Error)]
pub enum ProberError {
    /// OpenSSL did not take its settings or the system's certificates.
    #[error("cannot set TLS up for probes")]
    Tls(#[source] native_tls::Error),
}

/// Asks every backend of a set, each once an interval.
#[derive(Debug)]
pub struct Prober {
    connectors: Connectors,
    settings: ProberSettings,
    stats: ProberStats,
    suspicions: Suspicions,
    secret_faults: watch::Sender<SecretFaults>,
    epoch: Instant,
}

impl Prober {
    /// Prepares TLS and reads the system's certificates (or the file that `SSL_CERT_FILE` names).
    pub fn new(settings: ProberSettings) -> Result<Self, ProberError> {
        let epoch = Instant::now();
        let connectors = Connectors::new().map_err(ProberError::Tls)?;
        Ok(Self {
            connectors,
            settings,
            stats: ProberStats::new(epoch),
            suspicions: Suspicions::default(),
            secret_faults: watch::Sender::default(),
            epoch,
        })
    }

    /// A handle on what it is doing.
    pub fn stats(&self) -> ProberStats {
        self.stats.clone()
    }

    /// Where it is told of backends that clients meet errors of.
    pub fn suspicions(&self) -> Suspicions {
        self.suspicions.clone()
    }

    /// The secrets that probes could not be given.
    pub fn secret_faults(&self) -> watch::Receiver<SecretFaults> {
        self.secret_faults.subscribe()
    }

    /// Probes the newest set until `shutdown`, or until nobody receives samples any more. A set that has no sender any
    /// more is probed on.
    ///
    /// Ends when every probe that runs has ended; none is started any more, so that is at most the longest timeout.
    /// Samples that the receiver has no room for at that time are dropped; before it, none is.
    pub async fn run(
        self,
        mut targets: watch::Receiver<Arc<ProbeSet>>,
        samples: mpsc::Sender<Sample>,
        shutdown: CancellationToken,
    ) {
        let Self { connectors, settings, stats, suspicions, secret_faults: faults, epoch } = self;
        let ProberSettings { concurrency, idle_connections, clock, secrets } = settings;
        let secrets = SecretReader { secrets, clock: Arc::clone(&clock), faults };
        let means = Means { connectors, secrets };
        let worker = Arc::new(Worker { means, clock, samples, stats, shutdown });
        let schedule = Schedule::new(epoch, Bounds { concurrency, idle_connections, fast: FAST });
        let mut floor = Floor {
            worker: Arc::clone(&worker),
            schedule,
            tasks: JoinSet::new(),
            aborts: HashMap::new(),
            last_fault: None,
        };
        let set = Arc::clone(&targets.borrow_and_update());
        floor.take(&set);
        let mut has_sender = true;
        loop {
            let next = floor.start_due();
            tokio::select! {
                biased;
                () = worker.shutdown.cancelled() => break,
                () = worker.samples.closed() => break,
                changed = targets.changed(), if has_sender => match changed {
                    Ok(()) => {
                        let set = Arc::clone(&targets.borrow_and_update());
                        floor.take(&set);
                    }
                    Err(_) => has_sender = false,
                },
                Some(ended) = floor.tasks.join_next() => floor.end(ended),
                suspects = suspicions.take() => floor.suspect(&suspects),
                () = sleep_until(next.unwrap_or(epoch)), if next.is_some() => {}
            }
        }
        debug!(in_flight = floor.schedule.running(), "prober stops");
        while let Some(ended) = floor.tasks.join_next().await {
            floor.end(ended);
            // Nothing waits for its turn any more.
            worker.stats.waits(floor.schedule.running(), None);
        }
    }
}

/// Where probes run.
struct Floor {
    worker: Arc<Worker>,
    schedule: Schedule<Kept>,
    tasks: JoinSet<Done>,
    aborts: HashMap<Ticket, AbortHandle>,
    /// When a probe last could not be made, while that is news.
    last_fault: Option<Instant>,
}

/// What a task leaves behind.
struct Done {
    ticket: Ticket,
    outcome: Outcome,
    idle: Vec<Kept>,
}

impl Floor {
    fn take(&mut self, set: &ProbeSet) {
        let obsolete = self.schedule.update(set, Instant::now());
        self.worker.means.secrets.follow(set);
        debug!(backends = set.len(), obsolete = obsolete.len(), "prober took a new set");
        for ticket in obsolete {
            // Its sample would be taken for one of the new target.
            if let Some(abort) = self.aborts.remove(&ticket) {
                abort.abort();
            }
        }
    }

    fn suspect(&mut self, suspects: &BTreeSet<BackendName>) {
        let now = Instant::now();
        for backend in suspects {
            self.schedule.suspect(backend, now);
        }
    }

    /// Starts what is due, and says when to look again.
    fn start_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(start) = self.schedule.start(now) {
            self.worker.stats.started(start.lag);
            let ticket = start.ticket;
            let abort = self.tasks.spawn(Arc::clone(&self.worker).probe(start));
            self.aborts.insert(ticket, abort);
        }
        self.worker.stats.waits(self.schedule.running(), self.schedule.oldest_due());
        self.schedule.next_due()
    }

    fn end(&mut self, ended: Result<Done, JoinError>) {
        let Done { ticket, outcome, idle } = match ended {
            Ok(done) => done,
            Err(error) if error.is_cancelled() => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.aborts.remove(&ticket);
        let skipped = self.schedule.finish(ticket, &outcome, idle, Instant::now());
        self.worker.stats.skipped(skipped);
        self.tell_of(match outcome {
            Outcome::Fail(Failure::Prober(reason)) => Some(reason),
            Outcome::Pass | Outcome::Fail(_) => None,
        });
    }

    /// Logs when the prober's own faults begin and end, not each of thousands.
    fn tell_of(&mut self, fault: Option<String>) {
        let now = Instant::now();
        match (self.last_fault, fault) {
            (None, Some(reason)) => {
                warn!(reason, "probes cannot be made");
                self.last_fault = Some(now);
            }
            (Some(_), Some(_)) => self.last_fault = Some(now),
            (Some(last), None) if now - last >= FAULT_QUIET => {
                info!("probes can be made again");
                self.last_fault = None;
            }
            (None | Some(_), None) => {}
        }
    }
}

/// What every probe needs.
struct Worker {
    means: Means,
    clock: Clock,
    samples: mpsc::Sender<Sample>,
    stats: ProberStats,
    shutdown: CancellationToken,
}

impl Worker {
    /// Makes a probe and sends its sample. It ends, and frees its slot, when the sample is taken: so a slow receiver slows
    /// probing down.
    async fn probe(self: Arc<Self>, start: Start<Kept>) -> Done {
        let Start { ticket, backend, target, idle, lag: _ } = start;
        let Attempt { latency, outcome, told, idle } = attempt(&self.means, &target, idle).await;
        self.stats.made();
        if !outcome.tells_of_backend() {
            self.stats.failed_by_itself();
        }
        let (vantage, at) = (Vantage::Controller, (self.clock)());
        let sample = Sample { backend, vantage, at, latency, outcome: outcome.clone(), told };
        tokio::select! {
            biased;
            // Fails only when nobody receives any more, which ends the loop too.
            _ = self.samples.send(sample) => {}
            () = self.shutdown.cancelled() => {}
        }
        Done { ticket, outcome, idle }
    }
}
