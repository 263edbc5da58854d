use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BackendHealth, LastSample, Outcome, Sample};
use crate::core::inventory::Probe;
use crate::core::model::{BackendName, Timestamp};

/// What is believed of a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not known (yet, or any more). Stays in rotation.
    #[default]
    Unknown,
    /// Answers as expected.
    Up,
    /// Does not.
    Down,
}

impl Verdict {
    /// The verdict in lower case, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What it takes to change a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Passes in a row that bring a backend up; one more where it went down for the second time within minutes.
    pub rise: u32,
    /// Failures in a row that take it down.
    pub fall: u32,
    /// Age at which a verdict without a new sample is no longer believed.
    pub stale_after: Duration,
}

/// A verdict is stale when this many intervals (and a timeout each) have passed without a sample. Three: one lost to a
/// scheduler's hiccup is nothing, three in a row mean that nobody is probing.
const STALE_INTERVALS: u32 = 3;
/// A sample that seems older by this much is not late: the clock was set back, and to wait until it has caught up would
/// freeze every verdict for as long.
const CLOCK_JUMP: Duration = Duration::from_secs(30);
/// Passes that a backend needs beyond its rise after it came back and went down again at once.
pub(super) const RELAPSE_PASSES: u32 = 1;
/// No verdict is stale sooner than this, however short the interval: a controller that is stopped for a moment must not
/// forget what it knew.
const STALE_FLOOR: Duration = Duration::from_secs(30);

impl From<&Probe> for Thresholds {
    fn from(probe: &Probe) -> Self {
        let stale_after = (probe.interval + probe.timeout).saturating_mul(STALE_INTERVALS).max(STALE_FLOOR);
        Self { rise: probe.rise, fall: probe.fall, stale_after }
    }
}

/// A change of verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The backend.
    pub backend: BackendName,
    /// When.
    pub at: Timestamp,
    /// What was believed before.
    pub from: Verdict,
    /// What is believed now.
    pub to: Verdict,
    /// Why, in words: `answered 503`, `2 passes in a row`, `no sample for 45s`.
    pub reason: String,
}

/// Takes one sample into a backend's health: `rise` passes in a row bring it up, `fall` failures in a row take it down,
/// and a single contrary sample starts the count again (HAProxy documentation, "rise" and "fall"). One that came back and
/// went down again at once must pass once more than that: a site that is there for a moment, again and again, is then not
/// believed again and again.
///
/// A sample that is not newer than the last one changes nothing: samples may arrive late, never twice. A probe that could
/// not be made changes nothing either, not even the age of what is believed: it says nothing about the backend, and a
/// prober that has lost its means must let verdicts age out.
pub fn step(health: &mut BackendHealth, sample: &Sample, thresholds: Thresholds) -> Option<Transition> {
    if !sample.outcome.tells_of_backend() {
        return None;
    }
    let is_late = |last: &LastSample| sample.at < last.at && last.at.since(sample.at) < CLOCK_JUMP;
    if health.last.as_ref().is_some_and(is_late) {
        return None;
    }
    health.last = Some(LastSample { at: sample.at, latency: sample.latency, outcome: sample.outcome.clone() });
    let (to, reason) = match &sample.outcome {
        Outcome::Pass => {
            health.fails = 0;
            health.passes = health.passes.saturating_add(1);
            let reached = health.passes >= thresholds.rise + relapse(health, sample.at);
            (reached.then_some(Verdict::Up)?, format!("{} passes in a row", health.passes))
        }
        Outcome::Fail(failure) => {
            health.passes = 0;
            health.fails = health.fails.saturating_add(1);
            let reached = health.fails >= thresholds.fall;
            (reached.then_some(Verdict::Down)?, failure.to_string())
        }
    };
    turn(health, &sample.backend, sample.at, to, reason)
}

/// How many passes more than usual it takes to come up.
fn relapse(health: &BackendHealth, at: Timestamp) -> u32 {
    if health.verdict == Verdict::Down && health.flap.is_relapse(at) { RELAPSE_PASSES } else { 0 }
}

/// Takes note of a failure that does not count: no verdict changes, and none becomes older.
pub fn excuse(health: &mut BackendHealth, sample: &Sample) {
    let is_newer = health.last.as_ref().is_none_or(|last| sample.at >= last.at);
    if sample.outcome.tells_of_backend() && is_newer {
        health.last = Some(LastSample { at: sample.at, latency: sample.latency, outcome: sample.outcome.clone() });
        (health.passes, health.fails) = (0, 0);
    }
}

/// Takes a backend down whose failures were held until something else was reached.
pub fn confirm(
    health: &mut BackendHealth,
    backend: &BackendName,
    at: Timestamp,
    thresholds: Thresholds,
) -> Option<Transition> {
    let Some(LastSample { outcome: Outcome::Fail(failure), .. }) = &health.last else { return None };
    let reason = failure.to_string();
    if health.fails < thresholds.fall {
        return None;
    }
    turn(health, backend, at, Verdict::Down, reason)
}

/// Takes back failures that were no fault of the backend.
pub fn forgive(health: &mut BackendHealth) {
    health.fails = 0;
}

/// Takes moments along when the wall clock is set, by so many milliseconds: hold times are neither cut short nor drawn out
/// by it, no verdict is too old at once, and samples by the new time are not taken for late ones.
pub fn clock_set(health: &mut BackendHealth, millis: i64) {
    let moments = [&mut health.since, &mut health.flap.at, &mut health.flap.held_until];
    for at in moments.into_iter().flatten().chain(health.last.as_mut().map(|last| &mut last.at)) {
        *at = at.by_clock_set(millis);
    }
    health.availability.clock_set(millis);
}

/// Takes up what the state file knows. A verdict goes on. The counts towards the next one begin anew: they were written some
/// time before the end, and a failure from then is not in a row with one from now. Moments that lie after `now` were kept
/// before the wall clock was set back.
pub fn resume(health: &mut BackendHealth, now: Timestamp) {
    (health.passes, health.fails) = (0, 0);
    health.since = health.since.map(|since| since.min(now));
    health.availability.resume(now);
    if let Some(last) = &mut health.last {
        last.at = last.at.min(now);
    }
}

/// Forgets a verdict that is too old to be believed.
pub fn age(
    health: &mut BackendHealth,
    backend: &BackendName,
    now: Timestamp,
    thresholds: Thresholds,
) -> Option<Transition> {
    let last = health.last.as_ref()?;
    if health.verdict == Verdict::Unknown || now.since(last.at) < thresholds.stale_after {
        return None;
    }
    let reason = format!("no sample for {}s", now.since(last.at).as_secs());
    health.passes = 0;
    health.fails = 0;
    turn(health, backend, now, Verdict::Unknown, reason)
}

fn turn(
    health: &mut BackendHealth,
    backend: &BackendName,
    at: Timestamp,
    to: Verdict,
    reason: String,
) -> Option<Transition> {
    let from = health.verdict;
    if from == to {
        return None;
    }
    // From up by way of unknown as well: the samples failed to come for a while, or the probe is a new one.
    let was_up = from == Verdict::Up || (from == Verdict::Unknown && health.was_up);
    if was_up && to == Verdict::Down {
        health.flap.count(at);
    }
    health.was_up = was_up && to == Verdict::Unknown;
    health.verdict = to;
    health.since = Some(at);
    Some(Transition { backend: backend.clone(), at, from, to, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::health::{Failure, Told, Vantage};

    const THRESHOLDS: Thresholds = Thresholds { rise: 2, fall: 3, stale_after: Duration::from_secs(30) };

    fn sample(second: i64, pass: bool) -> Sample {
        Sample {
            backend: "a".parse().expect("a name"),
            vantage: Vantage::Controller,
            at: Timestamp::from_unix_millis(second * 1000),
            latency: Duration::from_millis(3),
            outcome: if pass { Outcome::Pass } else { Outcome::Fail(Failure::Status(503)) },
            told: Told::default(),
        }
    }

    /// Runs a history of `+` and `-`, one a second, and returns a verdict letter for each.
    fn verdicts(history: &str) -> String {
        let mut health = BackendHealth::default();
        let letter = |(second, result)| {
            step(&mut health, &sample(second, result == '+'), THRESHOLDS);
            match health.verdict {
                Verdict::Unknown => '?',
                Verdict::Up => 'U',
                Verdict::Down => 'D',
            }
        };
        (0..).zip(history.chars()).map(letter).collect()
    }

    #[test]
    fn rise_and_fall_count_in_a_row() {
        for (history, expected) in [
            ("++", "?U"),
            ("---", "??D"),
            ("+-+-", "????"),
            ("++--+", "?UUUU"),
            ("++---", "?UUUD"),
            ("---++", "??DDU"),
            ("---+-+-++", "??DDDDDDU"),
            ("++--+--+---", "?UUUUUUUUUD"),
        ] {
            assert_eq!(verdicts(history), expected, "{history}");
        }
    }

    #[test]
    fn whoever_relapses_passes_once_more() {
        assert_eq!(verdicts("++---++---++-+++"), "?UUUDDUUUDDDDDDU");
    }

    #[test]
    fn a_transition_says_why() {
        let mut health = BackendHealth::default();
        let transitions: Vec<_> =
            (0..5).filter_map(|second| step(&mut health, &sample(second, false), THRESHOLDS)).collect();
        assert_eq!(transitions.len(), 1);
        assert_eq!(transitions[0].reason, "answered 503");
        assert_eq!((transitions[0].from, transitions[0].to), (Verdict::Unknown, Verdict::Down));
        assert_eq!(health.since, Some(transitions[0].at));
    }

    #[test]
    fn only_going_down_from_up_counts_as_a_flip() {
        let mut health = BackendHealth::default();
        let mut score_after = |from: i64, history: &str| {
            for (second, result) in (from..).zip(history.chars()) {
                step(&mut health, &sample(second, result == '+'), THRESHOLDS);
            }
            health.flap.score
        };
        assert_eq!(score_after(0, "---++"), 0, "it was not known to be up, and then it came up");
        assert_eq!(score_after(5, "--+"), 0, "it did not go down");
        assert_eq!(score_after(8, "-----"), 1000);
        assert!((1900..2000).contains(&score_after(13, "++---")));
    }

    #[test]
    fn late_samples_change_nothing() {
        let mut health = BackendHealth::default();
        step(&mut health, &sample(10, true), THRESHOLDS);
        let before = health.clone();
        assert_eq!(step(&mut health, &sample(9, false), THRESHOLDS), None);
        assert_eq!(health, before);
    }

    #[test]
    fn a_clock_that_was_set_back_freezes_no_verdict() {
        let mut health = BackendHealth::default();
        step(&mut health, &sample(10_000, true), THRESHOLDS);
        step(&mut health, &sample(10_001, true), THRESHOLDS);
        for second in 0..3 {
            step(&mut health, &sample(second, false), THRESHOLDS);
        }
        assert_eq!(health.verdict, Verdict::Down);
    }

    #[test]
    fn probes_that_could_not_be_made_say_nothing() {
        let mut health = BackendHealth::default();
        step(&mut health, &sample(0, true), THRESHOLDS);
        step(&mut health, &sample(1, true), THRESHOLDS);
        step(&mut health, &sample(2, false), THRESHOLDS);
        let before = health.clone();
        for second in 3..30 {
            let outcome = Outcome::Fail(Failure::Prober("too many open files".to_owned()));
            assert_eq!(step(&mut health, &Sample { outcome, ..sample(second, false) }, THRESHOLDS), None);
        }
        assert_eq!(health, before);
        let name = "a".parse().expect("a name");
        let transition = age(&mut health, &name, Timestamp::from_unix_millis(32_000), THRESHOLDS).expect("too old");
        assert_eq!((transition.from, transition.to), (Verdict::Up, Verdict::Unknown));
    }

    #[test]
    fn moments_go_with_a_clock_that_is_set() {
        for millis in [-3_600_000, 3_600_000] {
            let mut health = BackendHealth::default();
            step(&mut health, &sample(0, true), THRESHOLDS);
            step(&mut health, &sample(1, true), THRESHOLDS);
            clock_set(&mut health, millis);
            let by_new_clock = |second: i64| Timestamp::from_unix_millis(second * 1000 + millis);
            assert_eq!(health.since, Some(by_new_clock(1)));
            let name = "a".parse().expect("a name");
            assert_eq!(age(&mut health, &name, by_new_clock(2), THRESHOLDS), None);
            let late = Sample { at: by_new_clock(2), ..sample(0, false) };
            assert_eq!((step(&mut health, &late, THRESHOLDS), health.fails), (None, 1), "it counts");
        }
    }

    #[test]
    fn what_was_kept_counts_no_further() {
        let mut health = BackendHealth::default();
        for (second, pass) in [(0, true), (1, true), (2, false), (3, false)] {
            step(&mut health, &sample(second, pass), THRESHOLDS);
        }
        resume(&mut health, Timestamp::from_unix_millis(9000));
        step(&mut health, &sample(10, false), THRESHOLDS);
        assert_eq!((health.verdict, health.fails), (Verdict::Up, 1));
    }

    #[test]
    fn what_was_kept_is_never_of_the_future() {
        let mut health = BackendHealth::default();
        step(&mut health, &sample(10, true), THRESHOLDS);
        step(&mut health, &sample(11, true), THRESHOLDS);
        let now = Timestamp::from_unix_millis(5000);
        resume(&mut health, now);
        assert_eq!((health.since, health.last.as_ref().map(|last| last.at)), (Some(now), Some(now)));
        step(&mut health, &sample(6, false), THRESHOLDS);
        assert_eq!(health.fails, 1, "what comes next is not late");
    }

    #[test]
    fn verdicts_age_out() {
        let mut health = BackendHealth::default();
        step(&mut health, &sample(0, true), THRESHOLDS);
        step(&mut health, &sample(1, true), THRESHOLDS);
        let name = "a".parse().expect("a name");
        assert_eq!(age(&mut health, &name, Timestamp::from_unix_millis(30_999), THRESHOLDS), None);
        let transition = age(&mut health, &name, Timestamp::from_unix_millis(31_000), THRESHOLDS).expect("too old");
        assert_eq!((transition.from, transition.to), (Verdict::Up, Verdict::Unknown));
        assert_eq!(age(&mut health, &name, Timestamp::from_unix_millis(99_000), THRESHOLDS), None);
    }
}
