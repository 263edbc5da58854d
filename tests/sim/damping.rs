//! What holds for flapping must be like: earned by going down over and over, bounded, kept over crashes, and heeded by plans.
//! Flips are counted here anew; of the state file's own score nothing is believed but the end that it gives a hold.

use std::collections::BTreeMap;
use std::time::Duration;

use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::model::{BackendName, Timestamp};
use tokio::time::Instant;

use super::clock;

/// Nobody is held for going down less often, however fast.
const FLIPS_MIN: u32 = 4;
/// The longest hold after the last flip.
const HOLD_MAX: Duration = Duration::from_mins(5);
/// Moments in the state file follow a clock that was set with the next write of counters, and one after a slow one.
const CLOCK_WRITTEN: Duration = Duration::from_secs(20);
/// A hold that was seen so long ago is known to the newest plan, however slow the disk is.
const PLANNED: Duration = Duration::from_secs(12);

/// The holds of all backends.
#[derive(Debug, Default)]
pub(crate) struct Damping {
    tracks: BTreeMap<BackendName, Track>,
    /// The clock was set shortly before the controller left, and how often it had been set then.
    left_by_clock: (bool, u64),
}

#[derive(Debug, Default)]
struct Track {
    verdict: Verdict,
    since: Option<Timestamp>,
    /// How often it went from up to down.
    flips: u32,
    hold: Option<Hold>,
}

/// A hold, by a clock that nobody sets.
#[derive(Debug, Clone, Copy)]
struct Hold {
    seen_at: Instant,
    ends_at: Instant,
}

/// A clock that is set by less than a second is not noticed, and moves a hold by as much.
fn slack() -> Duration {
    Duration::from_secs(1 + clock::times_set())
}

impl Damping {
    /// The controller is away.
    pub(crate) fn stopped(&mut self) {
        self.left_by_clock = (clock::was_set_within(CLOCK_WRITTEN), clock::times_set());
    }

    /// It is back. What it cannot know of the clock, it need not make up for.
    pub(crate) fn restarted(&mut self) {
        let (was_set, times_set) = self.left_by_clock;
        if was_set || times_set != clock::times_set() {
            self.forget_holds();
        }
    }

    fn forget_holds(&mut self) {
        self.tracks.values_mut().for_each(|track| track.hold = None);
    }

    /// Takes a look at what is observed; says what must not be.
    pub(crate) fn look(&mut self, observed: &Observed) -> Vec<(&'static str, String)> {
        self.tracks.retain(|name, _| observed.backends.contains_key(name));
        if clock::was_set_within(CLOCK_WRITTEN) {
            self.forget_holds();
        }
        let look = |(name, health): (&BackendName, &BackendHealth)| {
            let track = self.tracks.entry(name.clone()).or_default();
            track.look(health).map(|(invariant, detail)| (invariant, format!("{name}: {detail}")))
        };
        observed.backends.iter().filter_map(look).collect()
    }

    /// True for a backend that is held by everything that the controller has said for long enough.
    pub(crate) fn is_held(&self, name: &BackendName) -> bool {
        let hold = self.tracks.get(name).and_then(|track| track.hold);
        hold.is_some_and(|hold| hold.seen_at.elapsed() > PLANNED && hold.ends_at > Instant::now() + slack())
    }

    /// True for a backend that may be held.
    pub(crate) fn may_be_held(&self, name: &BackendName) -> bool {
        let hold = self.tracks.get(name).and_then(|track| track.hold);
        hold.is_some_and(|hold| hold.ends_at + slack() > Instant::now())
    }
}

impl Track {
    fn look(&mut self, health: &BackendHealth) -> Option<(&'static str, String)> {
        let now = Instant::now();
        // Asked something else, or asked again after it was disabled: another one, in spite of its name.
        if health.since.is_none() {
            *self = Self::default();
            return None;
        }
        let is_dated_anew = std::mem::replace(&mut self.since, health.since) != health.since;
        match (self.verdict, health.verdict) {
            (Verdict::Up, Verdict::Down) => self.flips += 1,
            // Changes that come together, or while a write takes long, are seen as one, and nobody knows how many they were.
            (Verdict::Down, Verdict::Down) | (Verdict::Up, Verdict::Up) if is_dated_anew => {
                self.flips = self.flips.max(FLIPS_MIN);
            }
            _ => {}
        }
        self.verdict = health.verdict;
        let left = health.flap.held_until.map(|until| until.since(clock::now())).filter(|left| !left.is_zero());
        let before = self.hold;
        let seen_at = before.map_or(now, |hold| hold.seen_at);
        self.hold = left.map(|left| Hold { seen_at, ends_at: now + left });
        if clock::was_set_within(CLOCK_WRITTEN) {
            return None;
        }
        if let Some(before) = before.filter(|before| before.ends_at > now + slack())
            && self.hold.is_none_or(|hold| hold.ends_at + slack() < before.ends_at)
        {
            let (due, left) = (before.ends_at - now, left.unwrap_or_default());
            return Some(("a hold for flapping goes on", format!("{left:?} are left of {due:?}")));
        }
        match left {
            Some(left) if left > HOLD_MAX + slack() => {
                Some(("a hold for flapping is bounded", format!("{left:?} are left")))
            }
            Some(_) if self.flips < FLIPS_MIN => {
                Some(("a hold is earned by flapping", format!("it went down {} times", self.flips)))
            }
            Some(_) | None => None,
        }
    }
}
