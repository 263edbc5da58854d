//! Moments. The core never asks what time it is; adapters tell it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, to the millisecond. Serializes as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From the system clock's type. A moment before 1970 becomes 1970.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Time from `earlier` to this moment; zero when the clock went backwards.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time of day for people, with the date where that is another one than at `now`: `14:05 UTC`.
    pub fn clock(self, now: Self) -> String {
        let written = |moment: Self, format: &str| match jiff::Timestamp::from_millisecond(moment.0) {
            Ok(moment) => moment.strftime(format).to_string(),
            Err(_) => moment.to_string(),
        };
        let is_today = written(self, "%F") == written(now, "%F");
        written(self, if is_today { "%H:%M UTC" } else { "%F %H:%M UTC" })
    }

    /// The time of day for people, to the minute that follows: `14:05 UTC`.
    pub fn time_of_day(self) -> String {
        const MINUTE_MS: i64 = 60_000;
        let minute = self.0.saturating_add(MINUTE_MS - 1).div_euclid(MINUTE_MS).saturating_mul(MINUTE_MS);
        match jiff::Timestamp::from_millisecond(minute) {
            Ok(moment) => moment.strftime("%H:%M UTC").to_string(),
            Err(_) => self.to_string(),
        }
    }

    /// The same moment by a clock that was set forward by so many milliseconds, or back.
    #[must_use]
    pub const fn by_clock_set(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This moment less a duration.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment plus a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(moment.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_has_a_date_where_it_is_another_one() {
        let now = Timestamp::from_unix_millis(1_700_000_000_123);
        assert_eq!(now.plus(Duration::from_secs(59)).clock(now), "22:14 UTC");
        assert_eq!(now.plus(Duration::from_hours(2)).clock(now), "2023-11-15 00:13 UTC");
        assert_eq!(Timestamp::from_unix_millis(0).clock(now), "1970-01-01 00:00 UTC");
    }

    #[test]
    fn a_time_of_day_is_not_before_the_moment() {
        for (millis, expected) in [(0, "00:00 UTC"), (1, "00:01 UTC"), (60_000, "00:01 UTC"), (86_399_001, "00:00 UTC")]
        {
            assert_eq!(Timestamp::from_unix_millis(millis).time_of_day(), expected);
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        let moment = Timestamp::from_unix_millis(1_700_000_000_123);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.123Z");
        let json = serde_json::to_string(&moment).expect("serializes");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("parses"), moment);
        assert_eq!(moment.since(moment.plus(Duration::from_secs(1))), Duration::ZERO);
    }
}
