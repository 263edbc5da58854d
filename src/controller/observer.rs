use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::clock_watch::ClockWatch;
use super::{Clock, Pulse, SourceState, chain};
use crate::core::health::{
    BackendHealth, Belief, Grace, Observed, Reach, Sample, Thresholds, Transition, age, clock_set, confirm, excuse,
    forgive, resume, step,
};
use crate::core::inventory::{Backend, BackendState, Desired};
use crate::core::model::{BackendName, Generation, Revision, Timestamp};
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
    /// Told with every refresh that this loop is alive.
    pub pulse: Arc<Pulse>,
}

/// What is known of a backend, with what it takes to change it.
#[derive(Debug)]
struct Watched {
    backend: Arc<Backend>,
    thresholds: Thresholds,
    health: BackendHealth,
    /// When it began to be asked what it is asked now; none where that was before this run.
    asked_since: Option<Timestamp>,
    /// While its failures do not count yet.
    grace: Grace,
}

#[derive(Default)]
struct State {
    generation: Generation,
    revision: Option<Revision>,
    watched: BTreeMap<BackendName, Watched>,
    /// Backends whose counters are newer than the state file.
    dirty: BTreeSet<BackendName>,
    reach: Reach,
    /// True where a backend reports something else than before, and no snapshot has it yet.
    has_reports: bool,
    isolated_since: Option<Timestamp>,
}

impl Observer {
    /// Runs until shutdown. `remembered` is what the state file knows.
    pub async fn run(self, mut remembered: BTreeMap<BackendName, BackendHealth>, shutdown: CancellationToken) {
        let Self { settings, clock, store, mut source, mut samples, targets, observed, pulse } = self;
        let mut state = State::default();
        let began_at = Instant::now();
        let mut watch = ClockWatch::new(clock());
        for health in remembered.values_mut() {
            resume(health, clock());
        }
        let mut remembered = Some(remembered);
        let mut refresh = interval(settings.refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flush = interval(settings.flush);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        source.mark_changed();
        loop {
            let mut is_news = false;
            let transitions = tokio::select! {
                // Samples last: where there are many of them they are ready all the time.
                biased;
                () = shutdown.cancelled() => break,
                changed = source.changed() => {
                    if changed.is_err() { break }
                    state.follow_clock(&mut watch, clock(), &observed);
                    let desired = source.borrow_and_update().served.as_ref().map(|served| Arc::clone(&served.desired));
                    let Some(desired) = desired else { continue };
                    state.follow(&desired, remembered.take().unwrap_or_default(), clock());
                    targets.send_replace(Arc::new(probe_set(&desired)));
                    state.publish(&observed);
                    continue;
                }
                _ = refresh.tick() => {
                    pulse.beat();
                    state.follow_clock(&mut watch, clock(), &observed);
                    let transitions = state.age(clock, began_at);
                    if transitions.is_empty() {
                        state.refresh(&observed);
                    }
                    transitions
                }
                _ = flush.tick() => { state.flush(&store).await; continue }
                received = samples.recv_many(&mut batch, BATCH) => {
                    if received == 0 { break }
                    let now = clock();
                    state.follow_clock(&mut watch, now, &observed);
                    let mut transitions = Vec::new();
                    for mut sample in batch.drain(..) {
                        // It may have been dated just before the clock was set back.
                        sample.at = sample.at.min(now);
                        state.take(&sample, &mut transitions);
                    }
                    is_news = state.has_noted_isolation() | std::mem::take(&mut state.has_reports);
                    transitions
                }
            };
            if !transitions.is_empty() {
                persist(&store, &mut state, transitions).await;
                is_news = true;
            }
            // The clock may have been set while that was written: no moment of before is shown after it.
            if is_news && !state.follow_clock(&mut watch, clock(), &observed) {
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
        // For people the layer keeper tells it, in one line where a whole site changes.
        let Transition { backend, at: _, from, to, reason } = transition;
        debug!(%backend, %from, %to, %reason, "transition");
    }
    for Transition { backend, at, .. } in &transitions {
        let flap = state.watched.get(backend).map(|watched| watched.health.flap);
        if let Some(until) = flap.and_then(|flap| flap.hold(*at)) {
            warn!(%backend, %until, "goes down over and over; held down where another is up");
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
    /// Follows a new desired state. What is known of a backend stays while the same is asked at the same address, also over
    /// a restart; otherwise it is another backend, and unknown.
    fn follow(&mut self, desired: &Desired, mut remembered: BTreeMap<BackendName, BackendHealth>, now: Timestamp) {
        self.revision = Some(desired.revision.clone());
        let mut before = std::mem::take(&mut self.watched);
        for backend in desired.backends.values() {
            let target = Some(backend.probe_target());
            let grace = Grace::from(now, backend.probe.grace);
            let earlier = before.remove(&backend.name);
            // What was up at this address and is down by a new probe has gone down.
            let is_there = |earlier: &&Watched| earlier.backend.upstream() == backend.upstream();
            let was_up = earlier.as_ref().filter(is_there).is_some_and(|earlier| earlier.health.was_ever_up());
            let watched = earlier.map(|watched| {
                let is_back = watched.backend.state != BackendState::Active && backend.state == BackendState::Active;
                (watched.health, watched.asked_since, if is_back { grace } else { watched.grace })
            });
            let recalled = || remembered.remove(&backend.name).map(|health| (health, None, Grace::default()));
            let known = watched.or_else(recalled);
            let had_some = known.is_some();
            let known = known.filter(|(health, ..)| health.is_of(backend));
            if had_some && known.is_none() {
                // The state file is not to bring back what is forgotten here.
                self.dirty.insert(backend.name.clone());
            }
            let anew = || (BackendHealth { target, was_up, ..BackendHealth::default() }, Some(now), grace);
            let (health, asked_since, grace) = known.unwrap_or_else(anew);
            let thresholds = Thresholds::from(&backend.probe);
            let watched = Watched { backend: Arc::clone(backend), thresholds, health, asked_since, grace };
            self.watched.insert(backend.name.clone(), watched);
        }
        self.dirty.retain(|name| self.watched.contains_key(name));
        let probed = self.watched.values().filter(|watched| watched.backend.state != BackendState::Disabled);
        self.reach.follow(probed.map(|watched| (&watched.backend.site, &watched.backend.name)));
    }

    /// Says when the prober begins or ceases to be cut off from every site; true when it is news.
    fn has_noted_isolation(&mut self) -> bool {
        let since = self.reach.isolated_since();
        if since.is_some() == self.isolated_since.is_some() {
            return false;
        }
        self.isolated_since = since;
        if let Some(since) = since {
            warn!(%since, "no site is within reach: this machine's own network is at fault; verdicts are frozen");
        } else {
            info!("sites are within reach again; verdicts count");
        }
        true
    }

    /// Takes one sample. A sample of a backend that is no longer probed is late and means nothing, and so does one of what
    /// it was asked before.
    fn take(&mut self, sample: &Sample, transitions: &mut Vec<Transition>) {
        let Some(watched) = self.watched.get_mut(&sample.backend) else { return };
        let Watched { backend, thresholds, health, asked_since, grace } = watched;
        let began_at = sample.at.minus(sample.latency);
        if backend.state == BackendState::Disabled || asked_since.is_some_and(|since| began_at < since) {
            return;
        }
        if !self.dirty.contains(&sample.backend) {
            self.dirty.insert(sample.backend.clone());
        }
        let belief = self.reach.take(&backend.site, sample);
        if health.told.take(sample.told.clone()) {
            self.has_reports = true;
            info!(backend = %sample.backend, drains = health.told.drains(), "a backend reports itself");
        }
        if health.share.take(sample.told.report, sample.at) {
            self.has_reports = true;
            info!(backend = %sample.backend, percent = health.share.percent(), "a backend asks for a share");
        }
        let is_excused = sample.outcome.tells_of_backend() && grace.excuses(sample.at, sample.outcome.is_pass());
        // What may be the prober's own fault does not count against a backend.
        if !is_excused && sample.outcome.tells_of_backend() && belief != Belief::Held {
            health.availability.count(sample.at, sample.outcome.is_pass());
        }
        let fall = if belief == Belief::Held { u32::MAX } else { thresholds.fall };
        if is_excused {
            excuse(health, sample);
        } else {
            transitions.extend(step(health, sample, Thresholds { fall, ..*thresholds }));
        }
        match belief {
            Belief::Sample | Belief::Held => {}
            Belief::Confirms(held) => {
                for name in held {
                    let Some(watched) = self.watched.get_mut(&name) else { continue };
                    // It was not counted while it was held.
                    if watched.health.fails > 0 {
                        watched.health.availability.count(sample.at, false);
                    }
                    transitions.extend(confirm(&mut watched.health, &name, sample.at, watched.thresholds));
                }
            }
            Belief::Returns(unreached) => {
                for name in unreached {
                    let Some(watched) = self.watched.get_mut(&name) else { continue };
                    forgive(&mut watched.health);
                }
            }
        }
    }

    /// Where the wall clock was set, what is known goes with it and is published, so that plans that depend on its moments are
    /// made anew. True where it was.
    fn follow_clock(
        &mut self,
        watch: &mut ClockWatch,
        now: Timestamp,
        observed: &watch::Sender<Arc<Observed>>,
    ) -> bool {
        let Some(millis) = watch.set_by(now) else { return false };
        warn!(millis, "the clock of this machine was set");
        for (name, watched) in &mut self.watched {
            clock_set(&mut watched.health, millis);
            watched.asked_since = watched.asked_since.map(|since| since.by_clock_set(millis));
            watched.grace.clock_set(millis);
            self.dirty.insert(name.clone());
        }
        self.reach.clock_set(millis);
        self.isolated_since = self.reach.isolated_since();
        self.publish(observed);
        true
    }

    /// Forgets verdicts of backends of which nothing was heard for too long. What was remembered over a restart gets the same
    /// time from the start: it is better than nothing until the first probes are through.
    fn age(&mut self, clock: Clock, began_at: Instant) -> Vec<Transition> {
        let (now, ran_for) = (clock(), began_at.elapsed());
        let stale = |(name, watched): (&BackendName, &mut Watched)| {
            let is_due = ran_for >= watched.thresholds.stale_after;
            is_due.then(|| age(&mut watched.health, name, now, watched.thresholds)).flatten()
        };
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
        let (generation, revision) = (self.generation, self.revision.clone());
        let isolated_since = self.isolated_since;
        observed.send_replace(Arc::new(Observed { generation, revision, isolated_since, backends }));
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

#[cfg(test)]
mod tests;
