use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Clock, SourceState, chain};
use crate::core::health::{BackendHealth, Observed, Sample, Thresholds, Transition, Verdict, age, step};
use crate::core::inventory::{Backend, BackendState, Desired};
use crate::core::model::{BackendName, Generation};
use crate::probe::{ProbeSet, probe_set};
use crate::store::Store;

/// Most samples taken in one go before a snapshot is published: bounds the delay of the first of them.
const BATCH: usize = 256;

/// How often things that are not urgent happen.
#[derive(Debug, Clone, Copy)]
pub struct ObserverSettings {
    /// Time between two snapshots that only carry newer latencies.
    pub refresh: Duration,
    /// Time between two writes of counters to the state file. A crash forgets at most this much counting; verdicts and
    /// transitions are written at once.
    pub flush: Duration,
}

impl Default for ObserverSettings {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(1), flush: Duration::from_secs(10) }
    }
}

/// Turns samples into verdicts, and desired state into what is probed.
#[derive(Debug)]
pub struct Observer {
    /// How often.
    pub settings: ObserverSettings,
    /// The wall clock.
    pub clock: Clock,
    /// Where health is kept.
    pub store: Store,
    /// What is desired.
    pub source: watch::Receiver<SourceState>,
    /// Results of probes.
    pub samples: mpsc::Receiver<Sample>,
    /// What is to be probed.
    pub targets: watch::Sender<Arc<ProbeSet>>,
    /// What is observed.
    pub observed: watch::Sender<Arc<Observed>>,
}

/// What is known of a backend, with what it takes to change it.
#[derive(Debug)]
struct Watched {
    backend: Arc<Backend>,
    thresholds: Thresholds,
    health: BackendHealth,
}

struct State {
    generation: Generation,
    watched: BTreeMap<BackendName, Watched>,
    /// Backends whose counters are newer than the state file.
    dirty: BTreeSet<BackendName>,
}

impl Observer {
    /// Runs until shutdown. `remembered` is what the state file knows.
    pub async fn run(self, remembered: BTreeMap<BackendName, BackendHealth>, shutdown: CancellationToken) {
        let Self { settings, clock, store, mut source, mut samples, targets, observed } = self;
        let mut state = State { generation: Generation::default(), watched: BTreeMap::new(), dirty: BTreeSet::new() };
        let mut remembered = Some(remembered);
        let mut refresh = interval(settings.refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flush = interval(settings.flush);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        source.mark_changed();
        loop {
            let transitions = tokio::select! {
                () = shutdown.cancelled() => break,
                changed = source.changed() => {
                    if changed.is_err() { break }
                    let desired = source.borrow_and_update().served.as_ref().map(|served| Arc::clone(&served.desired));
                    let Some(desired) = desired else { continue };
                    state.follow(&desired, remembered.take().unwrap_or_default());
                    targets.send_replace(Arc::new(probe_set(&desired)));
                    state.publish(&observed);
                    continue;
                }
                received = samples.recv_many(&mut batch, BATCH) => {
                    if received == 0 { break }
                    batch.drain(..).filter_map(|sample| state.take(&sample)).collect()
                }
                _ = refresh.tick() => {
                    let transitions = state.age(clock);
                    if transitions.is_empty() {
                        state.refresh(&observed);
                    }
                    transitions
                }
                _ = flush.tick() => { state.flush(&store).await; continue }
            };
            if !transitions.is_empty() {
                persist(&store, &mut state, transitions).await;
                state.publish(&observed);
            }
        }
        state.flush(&store).await;
    }
}

/// Durable before visible: a transition is in the state file before anybody acts on it. If the file cannot be written, the
/// fault is logged and routing goes on: an edge that serves matters more than a record of it.
async fn persist(store: &Store, state: &mut State, transitions: Vec<Transition>) {
    for transition in &transitions {
        let Transition { backend, at: _, from, to, reason } = transition;
        if *to == Verdict::Down {
            warn!(%backend, %from, %to, %reason, "verdict changed");
        } else {
            info!(%backend, %from, %to, %reason, "verdict changed");
        }
    }
    let health = transitions.iter().filter_map(|transition| state.health(&transition.backend)).collect();
    for transition in &transitions {
        state.dirty.remove(&transition.backend);
    }
    if let Err(error) = store.record_transitions(transitions, health).await {
        warn!(error = %chain(&error), "verdicts not written to the state file");
    }
}

impl State {
    /// Follows a new desired state. What is known of a backend stays while it is dialed at the same address; a backend at
    /// a new address is another one, and unknown.
    fn follow(&mut self, desired: &Desired, mut remembered: BTreeMap<BackendName, BackendHealth>) {
        let mut before = std::mem::take(&mut self.watched);
        for backend in desired.backends.values() {
            let known = match before.remove(&backend.name) {
                Some(watched) if watched.backend.upstream() == backend.upstream() => Some(watched.health),
                Some(_) => None,
                None => remembered.remove(&backend.name),
            };
            let health = match backend.state {
                BackendState::Active | BackendState::Drain => known.unwrap_or_default(),
                BackendState::Disabled => BackendHealth::default(),
            };
            let watched =
                Watched { backend: Arc::clone(backend), thresholds: Thresholds::from(&backend.probe), health };
            self.watched.insert(backend.name.clone(), watched);
        }
        self.dirty.retain(|name| self.watched.contains_key(name));
    }

    /// Takes one sample. A sample of a backend that is no longer probed is late and means nothing.
    fn take(&mut self, sample: &Sample) -> Option<Transition> {
        let Watched { backend, thresholds, health } = self.watched.get_mut(&sample.backend)?;
        if backend.state == BackendState::Disabled {
            return None;
        }
        if !self.dirty.contains(&sample.backend) {
            self.dirty.insert(sample.backend.clone());
        }
        if sample.outcome.tells_of_backend() {
            health.availability.count(sample.at, sample.outcome.is_pass());
        }
        step(health, sample, *thresholds)
    }

    fn age(&mut self, clock: Clock) -> Vec<Transition> {
        let now = clock();
        let stale =
            |(name, watched): (&BackendName, &mut Watched)| age(&mut watched.health, name, now, watched.thresholds);
        self.watched.iter_mut().filter_map(stale).collect()
    }

    fn health(&self, backend: &BackendName) -> Option<(BackendName, BackendHealth)> {
        self.watched.get(backend).map(|watched| (backend.clone(), watched.health.clone()))
    }

    /// Publishes a snapshot with newer verdicts: a new generation.
    fn publish(&mut self, observed: &watch::Sender<Arc<Observed>>) {
        self.generation = self.generation.next();
        self.refresh(observed);
    }

    /// Publishes newer latencies and counters: the same generation, so that nobody plans again.
    fn refresh(&self, observed: &watch::Sender<Arc<Observed>>) {
        let health = |(name, watched): (&BackendName, &Watched)| (name.clone(), watched.health.clone());
        let backends = self.watched.iter().map(health).collect();
        observed.send_replace(Arc::new(Observed { generation: self.generation, backends }));
    }

    async fn flush(&mut self, store: &Store) {
        let dirty = std::mem::take(&mut self.dirty);
        let health: Vec<_> = dirty.iter().filter_map(|name| self.health(name)).collect();
        if health.is_empty() {
            return;
        }
        if let Err(error) = store.record_health(health).await {
            warn!(error = %chain(&error), "counters not written to the state file");
            self.dirty = dirty;
        }
    }
}
