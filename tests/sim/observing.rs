//! What verdicts must be like: earned by as many samples in a row as are declared, kept while samples come, and in the
//! state file once anybody sees them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bascule::core::health::{Observed, Sample, Transition, Verdict};
use bascule::core::inventory::Probe;
use bascule::core::model::{BackendName, Timestamp};
use tokio::time::Instant;

use super::clock;
use super::truth::Truth;

/// A sample sent so shortly before a crash may not have been taken.
const LOST_MAX: Duration = Duration::from_millis(500);
/// No verdict is too old to be believed before this; the shortest time that the product has, and some for delays.
const FORGOTTEN_MIN: Duration = Duration::from_secs(25);

/// What was seen of all backends.
#[derive(Debug, Default)]
pub(crate) struct Observing {
    tracks: BTreeMap<BackendName, Track>,
    /// Changes of verdicts that somebody could see.
    seen: BTreeMap<(BackendName, Verdict), usize>,
    /// The next snapshot with backends is the first after a start: what it says is the state file's.
    is_first: bool,
    /// Since when more than one site has been probed.
    compared_since: Option<Instant>,
}

/// How the prober's own network is while it probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    There,
    Gone,
}

#[derive(Debug, Default)]
struct Track {
    passes: u32,
    fails: u32,
    /// How many of the failures in a row were the prober's own: its network was gone.
    own_fails: u32,
    /// How many passes and failures stood in a row after each of the newest samples.
    rows: VecDeque<(Instant, [u32; 2])>,
    /// What is declared to be long enough, and was before: a sample may be taken by the one or the other.
    enough: [[u32; 2]; 2],
    verdict: Verdict,
    since: Option<Timestamp>,
    changed_at: Option<Instant>,
    /// What it was before, for how long, and until when that was all that anybody knew.
    earlier: Option<(Verdict, Duration, Instant)>,
    sampled_at: Option<Instant>,
    /// What was sent before a crash may be missing.
    is_doubtful: bool,
}

impl Track {
    /// What stood in a row at a moment; of several samples at one, whichever was taken first. When the clock was set, nobody
    /// knows which moment is meant, and the most counts.
    fn row_at(&self, moment: Option<Instant>) -> [u32; 2] {
        let is_unknown = clock::was_set_within(2 * WRITTEN_MAX);
        let Some(moment) = moment.filter(|_| !is_unknown) else { return most(self.rows.iter()) };
        let before = self.rows.iter().rev().find(|(at, _)| *at + DATED < moment);
        let is_near = |at: Instant| at <= moment + DATED && moment <= at + DATED;
        most(self.rows.iter().filter(|(at, _)| is_near(*at)).chain(before))
    }

    fn declare(&mut self, probe: &Probe) {
        let newest = [probe.rise, probe.fall];
        if self.enough[0] != newest {
            self.enough[1] = if self.enough[0] == [0, 0] { newest } else { self.enough[0] };
            self.enough[0] = newest;
        }
    }
}

/// Samples remembered of each backend: more than come in the time that a slow disk takes.
const ROWS: usize = 20;
/// Moments are kept to the millisecond.
const DATED: Duration = Duration::from_millis(2);
/// Longest time that a slow disk keeps a verdict from being seen.
const WRITTEN_MAX: Duration = Duration::from_secs(8);

fn most<'r>(rows: impl Iterator<Item = &'r (Instant, [u32; 2])>) -> [u32; 2] {
    rows.fold([0, 0], |most, (_, row)| [most[UP].max(row[UP]), most[DOWN].max(row[DOWN])])
}

const UP: usize = 0;
const DOWN: usize = 1;

impl Observing {
    /// A backend is asked something else, or asked again.
    pub(crate) fn forget(&mut self, name: &BackendName) {
        // A sample of before counts where the clock makes it one of after.
        let is_doubtful = clock::was_set_within(2 * WRITTEN_MAX);
        self.tracks.insert(name.clone(), Track { is_doubtful, ..Track::default() });
    }

    /// A backend is probed like this from now on.
    pub(crate) fn declare(&mut self, name: &BackendName, probe: &Probe) {
        if let Some(track) = self.tracks.get_mut(name) {
            track.declare(probe);
        }
    }

    /// Backends at these sites are probed from now on.
    pub(crate) fn probes(&mut self, sites: impl Iterator<Item = u8>) {
        let is_compared = sites.collect::<BTreeSet<u8>>().len() > 1;
        self.compared_since = is_compared.then(|| self.compared_since.unwrap_or_else(Instant::now));
    }

    /// A sample is sent.
    pub(crate) fn sampled(&mut self, sample: &Sample, probe: &Probe, network: Network) {
        if !sample.outcome.tells_of_backend() {
            return;
        }
        let track = self.tracks.entry(sample.backend.clone()).or_default();
        track.declare(probe);
        if track.rows.len() == ROWS {
            track.rows.pop_front();
        }
        track.sampled_at = Some(Instant::now());
        if sample.outcome.is_pass() {
            (track.passes, track.fails) = (track.passes + 1, 0);
        } else {
            (track.passes, track.fails) = (0, track.fails + 1);
        }
        let is_own = network == Network::Gone && track.fails > 0;
        track.own_fails = if is_own { track.own_fails + 1 } else { 0 };
        track.rows.push_back((Instant::now(), [track.passes, track.fails]));
    }

    /// The controller has crashed.
    pub(crate) fn crashed(&mut self) {
        self.is_first = true;
        for track in self.tracks.values_mut() {
            track.is_doubtful = track.sampled_at.is_some_and(|at| at.elapsed() < LOST_MAX);
        }
    }

    /// Takes a look at what is observed; says what must not be.
    pub(crate) fn look(&mut self, observed: &Observed, truth: &Truth) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let frozen_for = self.frozen_for(truth);
        let is_first = self.is_first && !observed.backends.is_empty();
        self.is_first &= !is_first;
        for (name, health) in &observed.backends {
            let track = self.tracks.entry(name.clone()).or_default();
            let (before, after) = (track.verdict, health.verdict);
            track.verdict = after;
            if before == after || health.since.is_none() {
                continue;
            }
            // It is dated by its sample, and seen once it is written.
            let age = health.since.map_or(Duration::ZERO, |since| clock::now().since(since)).min(WRITTEN_MAX);
            let changed_at = Instant::now().checked_sub(age);
            track.earlier = track.changed_at.map(|at| (before, at.elapsed(), Instant::now()));
            track.changed_at = changed_at;
            if std::mem::replace(&mut track.since, health.since) == health.since || is_first {
                continue;
            }
            *self.seen.entry((name.clone(), after)).or_default() += 1;
            let row = track.row_at(track.changed_at);
            let is_enough = |side: usize| row[side] >= track.enough[0][side].min(track.enough[1][side]);
            let is_earned = match after {
                Verdict::Up => is_enough(UP),
                Verdict::Down => is_enough(DOWN),
                Verdict::Unknown => track.sampled_at.is_none_or(|at| at.elapsed() >= FORGOTTEN_MIN),
            };
            if after == Verdict::Down && track.own_fails > 0 && track.own_fails == track.fails && age < frozen_for {
                let detail = format!("{name}, {age:?} ago, in an isolation of {frozen_for:?}");
                faults.push(("an isolated prober takes nobody down", detail));
            }
            let is_doubtful = std::mem::take(&mut track.is_doubtful);
            if !is_earned && !is_doubtful {
                let detail = format!("{name} is {after} with {row:?} in a row, {age:?} ago");
                faults.push(("a verdict is earned by samples in a row", detail));
            }
        }
        faults
    }

    /// For how long verdicts should have been frozen. When the clock was set, nobody knows what was before.
    fn frozen_for(&self, truth: &Truth) -> Duration {
        let compared = self.compared_since.map_or(Duration::ZERO, |since| since.elapsed());
        let is_known = compared > WRITTEN_MAX && !clock::was_set_within(2 * WRITTEN_MAX);
        truth.isolated_since.filter(|_| is_known).map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long a backend has been what it is, or was until it was seen to change within this time, by a clock that nobody
    /// sets.
    pub(crate) fn held_lately(&self, name: &BackendName, verdict: Verdict, within: Duration) -> Option<Duration> {
        let track = self.tracks.get(name)?;
        if track.verdict == verdict {
            return Some(track.changed_at?.elapsed());
        }
        let earlier = track.earlier.filter(|(was, _, until)| *was == verdict && until.elapsed() < within);
        earlier.map(|(_, held, _)| held)
    }

    /// Compares with the state file: says of which changes it knows fewer than were seen. Their moments may have been moved
    /// in between, with the clock.
    pub(crate) fn missing(&self, kept: &[Transition]) -> Vec<String> {
        let is_short = |((name, to), seen): &(&(BackendName, Verdict), &usize)| {
            kept.iter().filter(|it| it.backend == *name && it.to == *to).count() < **seen
        };
        self.seen.iter().filter(is_short).map(|((name, to), seen)| format!("{name} {to} {seen} times")).collect()
    }
}
