use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::model::Timestamp;

/// Hours that are kept: a day, the window people ask about first.
const WINDOW_HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;
/// The window as a length of time.
const WINDOW: Duration = Duration::from_hours(24);

/// An hour, counted since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(pub i64);

impl Hour {
    const fn begin(self) -> Timestamp {
        Timestamp::from_unix_millis(self.0 * HOUR_MS)
    }
}

impl From<Timestamp> for Hour {
    fn from(at: Timestamp) -> Self {
        Self(at.unix_millis().div_euclid(HOUR_MS))
    }
}

/// Results of the probes of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// Which hour.
    pub hour: Hour,
    /// Probes that passed.
    pub passes: u32,
    /// Probes that failed.
    pub fails: u32,
}

/// Results of the last 24 hours' probes, an hour at a time, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    hours: Vec<HourCount>,
    /// When the first result was counted of those that go on to now, with no day in between.
    since: Option<Timestamp>,
}

impl Availability {
    /// Takes counts back from where they were kept.
    pub fn kept(mut hours: Vec<HourCount>, since: Option<Timestamp>) -> Self {
        hours.sort_by_key(|count| count.hour);
        // Where that was not kept, it is known to the hour.
        let since = since.or_else(|| hours.first().map(|oldest| oldest.hour.begin()));
        Self { hours, since }
    }

    /// Counts one result, and forgets hours that left the window.
    pub fn count(&mut self, at: Timestamp, pass: bool) {
        let hour = Hour::from(at);
        if self.hours.last().is_none_or(|last| last.hour < hour) {
            self.hours.retain(|count| count.hour.0 > hour.0 - WINDOW_HOURS);
            if self.hours.is_empty() {
                self.since = Some(at);
            }
            self.hours.push(HourCount { hour, passes: 0, fails: 0 });
        }
        // A clock that went back counts into the newest hour: a rough number beats a lost one.
        let Some(newest) = self.hours.last_mut() else { return };
        let counter = if pass { &mut newest.passes } else { &mut newest.fails };
        *counter = counter.saturating_add(1);
    }

    /// When counting began.
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Of how long it is, a day at most; none without a probe.
    pub fn length(&self, now: Timestamp) -> Option<Duration> {
        self.since.map(|since| now.since(since).min(WINDOW))
    }

    /// Takes the beginning along when the wall clock was set.
    pub(super) fn clock_set(&mut self, millis: i64) {
        self.since = self.since.map(|since| since.by_clock_set(millis));
    }

    /// Takes what was kept for no longer than until now.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.since = self.since.map(|since| since.min(now));
    }

    /// The counts, oldest hour first.
    pub fn hours(&self) -> &[HourCount] {
        &self.hours
    }

    /// Share of the probes that passed, from 0 to 1; none without a probe.
    pub fn share(&self) -> Option<f64> {
        let passes: u64 = self.hours.iter().map(|count| u64::from(count.passes)).sum();
        let fails: u64 = self.hours.iter().map(|count| u64::from(count.fails)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a day of probes counts far below 2^52")]
        (passes + fails > 0).then(|| passes as f64 / (passes + fails) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_on() {
        let mut availability = Availability::default();
        assert_eq!(availability.share(), None);
        for hour in 0..48 {
            availability.count(Timestamp::from_unix_millis(hour * HOUR_MS), hour % 4 != 0);
        }
        assert_eq!(availability.hours().len(), 24);
        assert_eq!(availability.share(), Some(0.75));
    }

    #[test]
    fn it_is_of_as_long_as_there_were_probes_and_of_a_day_at_most() {
        let at = |minutes: i64| Timestamp::from_unix_millis(90 * 60_000 + minutes * 60_000);
        let minutes = |it: &Availability, now: i64| it.length(at(now)).map(|length| length.as_secs() / 60);
        let mut availability = Availability::default();
        assert_eq!(minutes(&availability, 0), None);
        availability.count(at(0), true);
        assert_eq!((minutes(&availability, 3), minutes(&availability, 90)), (Some(3), Some(90)));
        let kept = |since| Availability::kept(availability.hours().to_vec(), since);
        assert_eq!(minutes(&kept(availability.since()), 3), Some(3));
        assert_eq!(minutes(&kept(None), 3), Some(33), "as of the beginning of the hour");
        for hour in 1..=30 {
            availability.count(at(hour * 60), true);
        }
        assert_eq!(minutes(&availability, 30 * 60), Some(24 * 60));
        // What was not asked for days is asked anew.
        availability.count(at(10_000), true);
        assert_eq!(minutes(&availability, 10_002), Some(2));
    }
}
