use serde::{Deserialize, Serialize};

use crate::core::model::Timestamp;

/// Hours that are kept: a day, the window people ask about first.
const WINDOW_HOURS: i64 = 24;
const HOUR_MS: i64 = 3_600_000;

/// An hour, counted since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hour(pub i64);

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
}

impl Availability {
    /// Takes counts back from where they were kept.
    pub fn from_hours(mut hours: Vec<HourCount>) -> Self {
        hours.sort_by_key(|count| count.hour);
        Self { hours }
    }

    /// Counts one result, and forgets hours that left the window.
    pub fn count(&mut self, at: Timestamp, pass: bool) {
        let hour = Hour::from(at);
        if self.hours.last().is_none_or(|last| last.hour < hour) {
            self.hours.retain(|count| count.hour.0 > hour.0 - WINDOW_HOURS);
            self.hours.push(HourCount { hour, passes: 0, fails: 0 });
        }
        // A clock that went back counts into the newest hour: a rough number beats a lost one.
        let Some(newest) = self.hours.last_mut() else { return };
        let counter = if pass { &mut newest.passes } else { &mut newest.fails };
        *counter = counter.saturating_add(1);
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
}
