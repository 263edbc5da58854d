//! When each backend is asked: a value that is told the time, so that all of it can be tested without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::target::{ProbeSet, ProbeTarget};
use crate::core::health::{Doubt, Outcome};
use crate::core::model::BackendName;

/// An interval below this would spin. The inventory has no shorter one; a target made by hand might.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Shortest time between two probes of a backend that passes them while clients meet errors of it: one bad page costs four
/// probes a second at most, whatever its clients do.
const SUSPICION_GAP: Duration = Duration::from_millis(250);

/// How long before a probe what clients met still speaks of the same trouble.
const SUSPICION_KEPT: Duration = Duration::from_secs(1);

/// One started probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What is to be done now.
#[derive(Debug)]
pub(super) struct Start<C> {
    pub(super) ticket: Ticket,
    pub(super) backend: BackendName,
    pub(super) target: Arc<ProbeTarget>,
    /// The connections that the last probe left open.
    pub(super) idle: Vec<C>,
    /// How long after its due time it starts; none for the first probe of a backend, which has no due time.
    pub(super) lag: Option<Duration>,
}

/// How many probes run at once, how many connections wait between them, and how many backends are asked at their fast
/// interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) concurrency: NonZeroUsize,
    pub(super) idle_connections: usize,
    pub(super) fast: usize,
}

/// The order of probes.
///
/// Each backend is due at `epoch + phase × interval + k × interval`, where its phase is a hash of its name: the probes of
/// many backends spread evenly over the interval, the same way in each run, and one that starts late does not shift those
/// after it. Due probes start in the order of their due times. The first probe of a new backend is due at once; those
/// queue apart and get at most half of the slots, so that a thousand new backends that do not answer do not hold up the
/// probes of the others, nor the others theirs.
///
/// A backend in doubt has its turns by its fast interval, with the same phase, as long as there are no more of them than the
/// bound.
///
/// A backend that is suspected, since clients meet errors of it, is asked out of turn; and while its probes fail, again and
/// again at the time of confirmation, until the doubt is settled. A probe that passes ends this. Its turns stay where they
/// are.
#[derive(Debug)]
pub(super) struct Schedule<C> {
    epoch: Instant,
    bounds: Bounds,
    entries: BTreeMap<BackendName, Entry<C>>,
    /// Backends that were never asked, in the order in which they came.
    fresh: BTreeSet<(u64, BackendName)>,
    due: BTreeSet<(Instant, BackendName)>,
    running: BTreeMap<Ticket, Running>,
    fresh_running: usize,
    idle_count: usize,
    fast_count: usize,
    next_number: u64,
}

#[derive(Debug)]
struct Entry<C> {
    target: Arc<ProbeTarget>,
    /// Share of the interval, in 2^64ths.
    phase: u64,
    state: State,
    idle: Vec<C>,
    doubt: Doubt,
    /// True while it has its turns by its fast interval.
    is_fast: bool,
    /// When its newest probe started.
    started: Option<Instant>,
    /// When clients last met an error of it, as far as no probe has passed since.
    suspected: Option<Instant>,
}

impl<C> Entry<C> {
    /// The earliest time for a probe out of turn.
    fn soonest(&self, now: Instant) -> Instant {
        let confirm = self.target.probe.confirm_interval;
        let gap = if self.doubt.is_open() { confirm } else { SUSPICION_GAP.max(confirm) };
        self.started.map_or(now, |started| now.max(started + gap))
    }

    /// True where what clients met and what a probe found, one that started then, speak against it together.
    fn is_confirming(&self, outcome: &Outcome, started: Instant) -> bool {
        let is_recent = |at: Instant| started.saturating_duration_since(at) <= SUSPICION_KEPT;
        let is_failure = outcome.tells_of_backend() && !outcome.is_pass();
        is_failure && self.is_fast && self.suspected.is_some_and(is_recent)
    }

    fn interval(&self) -> Duration {
        let probe = &self.target.probe;
        let interval = if self.is_fast { probe.fast_interval.min(probe.interval) } else { probe.interval };
        interval.max(INTERVAL_MIN)
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In `fresh`, under this number, since then.
    Fresh { number: u64, since: Instant },
    /// In `due`, at this time.
    Due(Instant),
    /// In `running`.
    Running(Ticket),
}

#[derive(Debug)]
struct Running {
    backend: BackendName,
    /// When it was due; none for the first probe of a backend.
    due: Option<Instant>,
    started: Instant,
}

impl<C> Schedule<C> {
    pub(super) fn new(epoch: Instant, bounds: Bounds) -> Self {
        Self {
            epoch,
            bounds,
            entries: BTreeMap::new(),
            fresh: BTreeSet::new(),
            due: BTreeSet::new(),
            running: BTreeMap::new(),
            fresh_running: 0,
            idle_count: 0,
            fast_count: 0,
            next_number: 0,
        }
    }

    /// Takes a new set in and touches only what differs. Returns the probes that are of no use any more: what they ask
    /// is no longer asked. They count as ended.
    pub(super) fn update(&mut self, set: &ProbeSet, now: Instant) -> Vec<Ticket> {
        let mut obsolete = Vec::new();
        let gone: Vec<_> = self.entries.keys().filter(|name| !set.contains_key(*name)).cloned().collect();
        for name in gone {
            obsolete.extend(self.remove(&name));
        }
        for (name, target) in set {
            match self.entries.get_mut(name) {
                Some(entry) if *entry.target == *target => {}
                Some(entry) if entry.target.asks_the_same_as(target) => {
                    entry.target = Arc::new(target.clone());
                    self.replan(name, now);
                }
                Some(_) => {
                    obsolete.extend(self.remove(name));
                    self.add(name, target, now);
                }
                None => self.add(name, target, now),
            }
        }
        obsolete
    }

    /// Clients meet errors of a backend: it is asked now, or as soon as it may be asked again. One that is known to be down
    /// is not asked more often for it, nor one that is not known at all.
    pub(super) fn suspect(&mut self, name: &BackendName, now: Instant) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| !entry.doubt.is_down()) else { return };
        entry.suspected = Some(now);
        // One that is asked at this moment is looked at when it is done.
        let State::Due(planned) = entry.state else { return };
        let at = entry.soonest(now);
        if at < planned {
            entry.state = State::Due(at);
            self.due.remove(&(planned, name.clone()));
            self.due.insert((at, name.clone()));
        }
    }

    /// The next probe to start now, if one is due and a slot is free.
    pub(super) fn start(&mut self, now: Instant) -> Option<Start<C>> {
        if self.running.len() >= self.bounds.concurrency.get() {
            return None;
        }
        let fresh_bound = self.bounds.concurrency.get().div_ceil(2);
        if self.fresh_running < fresh_bound
            && let Some((_, backend)) = self.fresh.pop_first()
        {
            self.fresh_running += 1;
            return self.run(backend, now, None);
        }
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (at, backend) = self.due.pop_first()?;
        self.run(backend, now, Some(at))
    }

    /// Frees the slot of a probe, keeps its connections, and plans the next one. Returns how many turns are skipped.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: &Outcome, idle: Vec<C>, now: Instant) -> u64 {
        let Some(Running { backend, due, started }) = self.running.remove(&ticket) else { return 0 };
        self.fresh_running -= usize::from(due.is_none());
        let Some(entry) = self.entries.get_mut(&backend) else { return 0 };
        if self.idle_count + idle.len() <= self.bounds.idle_connections {
            self.idle_count += idle.len();
            entry.idle = idle;
        }
        entry.doubt.take(outcome, &entry.target.probe);
        let was_fast = entry.is_fast;
        self.fast_count -= usize::from(was_fast);
        entry.is_fast = entry.doubt.is_open() && self.fast_count < self.bounds.fast;
        self.fast_count += usize::from(entry.is_fast);
        // The turn after the first probe, or after one at another pace, is half an interval away or more: two probes in the
        // same moment say as much as one.
        let gap = entry.interval() / 2;
        let after = match due {
            Some(due) if was_fast == entry.is_fast => due,
            Some(due) => due + gap,
            None => started + gap,
        };
        let grid = Grid::new(self.epoch, entry);
        let planned = grid.turn_after(after);
        // A backend is never asked twice at a time. Of the turns that passed while this probe ran, the latest is made up
        // for at once (else a timeout as long as the interval would halve the rate) and those before it are skipped.
        let turn = planned.max(grid.turn_after(now).saturating_sub(1));
        let mut at = grid.time(turn);
        if entry.is_confirming(outcome, started) {
            // Not at a turn that happens to come before: failures in the same moment say as much as one.
            at = entry.soonest(now);
        } else if outcome.is_pass() {
            // What clients met while the probe ran, it may not have seen.
            entry.suspected = entry.suspected.filter(|at| *at > started);
            if entry.suspected.is_some() {
                at = at.min(entry.soonest(now));
            }
        }
        entry.state = State::Due(at);
        let is_fast = entry.is_fast;
        self.due.insert((at, backend));
        // A probe may well take longer than the fast interval: that is no sign of too much to do.
        if is_fast { 0 } else { turn - planned }
    }

    /// When to look again: none while all slots are taken (one will be freed first) or nothing is known.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let free = self.running.len() < self.bounds.concurrency.get();
        self.due.first().map(|(at, _)| *at).filter(|_| free)
    }

    /// The oldest time at which something that does not run yet was due, or will be.
    pub(super) fn oldest_due(&self) -> Option<Instant> {
        let fresh = self.fresh.first().and_then(|(_, name)| match self.entries.get(name)?.state {
            State::Fresh { since, .. } => Some(since),
            State::Due(_) | State::Running(_) => None,
        });
        let due = self.due.first().map(|(at, _)| *at);
        fresh.into_iter().chain(due).min()
    }

    /// Probes that run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    fn run(&mut self, backend: BackendName, now: Instant, due: Option<Instant>) -> Option<Start<C>> {
        let entry = self.entries.get_mut(&backend)?;
        let ticket = Ticket(self.next_number);
        self.next_number += 1;
        entry.state = State::Running(ticket);
        entry.started = Some(now);
        let idle = std::mem::take(&mut entry.idle);
        self.idle_count -= idle.len();
        let target = Arc::clone(&entry.target);
        self.running.insert(ticket, Running { backend: backend.clone(), due, started: now });
        let lag = due.map(|at| now.saturating_duration_since(at));
        Some(Start { ticket, backend, target, idle, lag })
    }

    fn add(&mut self, name: &BackendName, target: &ProbeTarget, now: Instant) {
        let number = self.next_number;
        self.next_number += 1;
        self.fresh.insert((number, name.clone()));
        let state = State::Fresh { number, since: now };
        let (target, phase) = (Arc::new(target.clone()), phase_of(name));
        let entry = Entry {
            target,
            phase,
            state,
            idle: Vec::new(),
            doubt: Doubt::default(),
            is_fast: false,
            started: None,
            suspected: None,
        };
        self.entries.insert(name.clone(), entry);
    }

    fn remove(&mut self, name: &BackendName) -> Option<Ticket> {
        let entry = self.entries.remove(name)?;
        self.idle_count -= entry.idle.len();
        self.fast_count -= usize::from(entry.is_fast);
        match entry.state {
            State::Fresh { number, .. } => {
                self.fresh.remove(&(number, name.clone()));
                None
            }
            State::Due(at) => {
                self.due.remove(&(at, name.clone()));
                None
            }
            State::Running(ticket) => {
                let running = self.running.remove(&ticket)?;
                self.fresh_running -= usize::from(running.due.is_none());
                Some(ticket)
            }
        }
    }

    /// Moves a waiting probe to its new interval. A running or a first one finds it by itself.
    fn replan(&mut self, name: &BackendName, now: Instant) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let State::Due(old) = entry.state else { return };
        let grid = Grid::new(self.epoch, entry);
        let at = grid.time(grid.turn_after(now));
        entry.state = State::Due(at);
        self.due.remove(&(old, name.clone()));
        self.due.insert((at, name.clone()));
    }
}

/// The turns of one backend: an endless row of times, an interval apart.
struct Grid {
    first: Instant,
    interval: Duration,
}

impl Grid {
    fn new<C>(epoch: Instant, entry: &Entry<C>) -> Self {
        let interval = entry.interval();
        let offset = (interval.as_nanos() * u128::from(entry.phase)) >> 64;
        Self { first: epoch + Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX)), interval }
    }

    /// The number of the first turn after `moment`.
    fn turn_after(&self, moment: Instant) -> u64 {
        match moment.checked_duration_since(self.first) {
            Some(past) => u64::try_from(past.as_nanos() / self.interval.as_nanos()).unwrap_or(u64::MAX - 1) + 1,
            None => 0,
        }
    }

    fn time(&self, turn: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(turn));
        self.first + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A backend's share of the interval. SHA-256, because it spreads names that differ in one digit and is the same in each
/// build; the standard library's hasher promises neither.
fn phase_of(name: &BackendName) -> u64 {
    let digest = Sha256::digest(name.as_str().as_bytes());
    digest.iter().take(8).fold(0, |phase, byte| (phase << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
