//! The repository, and the prober.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bascule::core::health::{Failure, Outcome, Sample, Told, Vantage};
use bascule::core::inventory::{Composed, Loaded, Uncomposed, load};
use bascule::core::model::{BackendName, FileSet, Revision, RevisionInfo};
use bascule::git::{Faulty, Moved, Revisions, Snapshot, SourceError};
use bascule::probe::{ProbeSet, ProbeTarget};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::clock;
use super::observing::Network;
use super::truth::{self, Condition};
use super::world::Shared;

/// What the branch holds, and whether it can be read.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) info: RevisionInfo,
    pub(crate) files: FileSet,
    pub(crate) is_rewritten: bool,
    /// Its commits with their messages, oldest first.
    pub(crate) log: Vec<(Revision, String)>,
    pub(crate) is_readable: bool,
}

/// The watcher's side of the branch.
pub(crate) struct FakeSource(pub(crate) Shared);

impl Revisions for FakeSource {
    async fn fetch(&mut self, last: Option<Revision>) -> Result<Snapshot, SourceError> {
        sleep(self.0.with(|world| Duration::from_millis(world.rng.u64(2..=200)))).await;
        if !self.0.with(|world| world.branch.is_readable) {
            let after = Duration::from_secs(if self.0.with(|world| world.rng.bool()) { 10 } else { 0 });
            sleep(after).await;
            return Err(SourceError::Timeout { place: "the repository".to_owned(), after });
        }
        self.0.with(|world| {
            let Branch { info, files, is_rewritten, log, .. } = &world.branch;
            let moved = match &last {
                None => Moved::First,
                Some(last) if *last == info.id => Moved::Unchanged,
                Some(_) if *is_rewritten => Moved::Rewritten,
                Some(_) => Moved::Forward,
            };
            let files = (moved != Moved::Unchanged).then(|| files.clone());
            let messages = Some(since(log, last.as_ref()));
            let snapshot = Snapshot { info: info.clone(), files, moved, messages, distrust: None };
            if snapshot.files.is_some() {
                world.note(&format!("fetched {}", snapshot.info.id));
            }
            Ok(snapshot)
        })
    }

    async fn check(&self, files: Arc<FileSet>, revision: Revision) -> Option<Loaded> {
        Some(load(&files, revision))
    }

    async fn compose(&self, faulty: Faulty, last_good: FileSet) -> Result<Composed, Uncomposed> {
        faulty.compose(&last_good)
    }
}

/// The messages of the commits after one; of all where it is not among them any more.
fn since(log: &[(Revision, String)], last: Option<&Revision>) -> Vec<String> {
    let after = log.iter().position(|(id, _)| Some(id) == last).map_or(0, |index| index + 1);
    log[after..].iter().map(|(_, message)| message.clone()).collect()
}

/// Probes under way and to come, in their order.
struct Probing {
    world: Shared,
    set: Arc<ProbeSet>,
    queue: BTreeMap<(Instant, u64), (BackendName, Option<Sample>)>,
    number: u64,
    /// A set was taken before; what comes into the next one is asked anew.
    is_running: bool,
}

/// Probes what it is told to, as the prober does: each backend once an interval.
pub(crate) async fn probe(world: Shared, mut targets: watch::Receiver<Arc<ProbeSet>>, samples: mpsc::Sender<Sample>) {
    let set = Arc::clone(&targets.borrow_and_update());
    let mut probing = Probing { world, set: Arc::default(), queue: BTreeMap::new(), number: 0, is_running: false };
    probing.follow(set);
    loop {
        let next = probing.queue.first_key_value().map(|((at, _), _)| *at);
        tokio::select! {
            biased;
            changed = targets.changed() => {
                if changed.is_err() { return }
                let set = Arc::clone(&targets.borrow_and_update());
                probing.follow(set);
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if let Some(sample) = probing.turn() && samples.send(sample).await.is_err() { return }
            }
        }
    }
}

impl Probing {
    fn follow(&mut self, set: Arc<ProbeSet>) {
        let before = std::mem::replace(&mut self.set, set);
        let asks_the_same =
            |old: &ProbeTarget, new: &ProbeTarget| old.upstream == new.upstream && old.probe.tries == new.probe.tries;
        let set = Arc::clone(&self.set);
        self.world.with(|world| world.observing.probes(set.values().map(|target| truth::site(target.upstream))));
        let is_kept =
            |name: &BackendName| before.get(name).zip(set.get(name)).is_some_and(|(old, new)| asks_the_same(old, new));
        self.queue.retain(|_, (name, _)| is_kept(name));
        for name in set.keys().filter(|name| !is_kept(name)) {
            if self.is_running {
                self.world.with(|world| world.observing.forget(name));
            }
            self.put(Instant::now() + Duration::from_millis(1), name.clone(), None);
        }
        for (name, target) in set.iter() {
            self.world.with(|world| world.observing.declare(name, &target.probe));
        }
        self.is_running |= !set.is_empty();
    }

    fn put(&mut self, at: Instant, name: BackendName, sample: Option<Sample>) {
        self.number += 1;
        self.queue.insert((at, self.number), (name, sample));
    }

    /// Begins the probe that is due, or ends it.
    fn turn(&mut self) -> Option<Sample> {
        let ((at, _), (name, sample)) = self.queue.pop_first()?;
        let probe = self.set.get(&name)?.probe.clone();
        if let Some(mut sample) = sample {
            sample.at = clock::now();
            self.world.with(|world| {
                let began = Instant::now().checked_sub(sample.latency);
                let is_isolated = world.truth.isolated_since.is_some_and(|since| began >= Some(since));
                world.observing.sampled(&sample, &probe, if is_isolated { Network::Gone } else { Network::There });
            });
            return Some(sample);
        }
        let upstream = self.set.get(&name)?.upstream;
        let condition = self.world.with(|world| {
            let exhausted = world.truth.is_prober_exhausted && world.rng.bool();
            (!exhausted).then(|| world.truth.of(upstream, truth::Vantage::Prober))
        });
        let (outcome, took) = match condition {
            None => (Outcome::Fail(Failure::Prober("too many open files".to_owned())), Duration::ZERO),
            Some(Condition::Well) => (Outcome::Pass, Duration::from_millis(3)),
            Some(Condition::Refusing) => {
                (Outcome::Fail(Failure::Refused("connection refused".to_owned())), Duration::from_millis(1))
            }
            Some(Condition::Erring) => (Outcome::Fail(Failure::Status(503)), Duration::from_millis(3)),
            Some(Condition::Hanging | Condition::Vanished) => (Outcome::Fail(Failure::Timeout), probe.timeout),
        };
        let sample = Sample {
            backend: name.clone(),
            vantage: Vantage::Controller,
            at: clock::now(),
            latency: took,
            outcome,
            told: Told::default(),
        };
        self.put(at + took, name.clone(), Some(sample));
        self.put(at + probe.interval, name, None);
        None
    }
}
