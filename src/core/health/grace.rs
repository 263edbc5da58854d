use std::time::Duration;

use crate::core::model::Timestamp;

/// The time in which failures of a backend that is just starting do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grace {
    until: Option<Timestamp>,
}

impl Grace {
    /// Begins now.
    pub fn from(now: Timestamp, length: Duration) -> Self {
        Self { until: (!length.is_zero()).then(|| now.plus(length)) }
    }

    /// True for a failure that does not count. A pass ends it: what has once answered has started.
    pub fn excuses(&mut self, at: Timestamp, is_pass: bool) -> bool {
        self.until = self.until.filter(|until| !is_pass && at < *until);
        self.until.is_some()
    }

    /// Goes along when the wall clock is set, by so many milliseconds.
    pub fn clock_set(&mut self, millis: i64) {
        self.until = self.until.map(|until| until.by_clock_set(millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    #[test]
    fn it_ends_with_its_time_or_the_first_pass() {
        let mut grace = Grace::from(at(10), Duration::from_secs(5));
        assert!(grace.excuses(at(11), false) && grace.excuses(at(14), false));
        assert!(!grace.excuses(at(15), false) && !grace.excuses(at(14), false), "it does not begin again");
        let mut grace = Grace::from(at(10), Duration::from_secs(5));
        assert!(!grace.excuses(at(11), true) && !grace.excuses(at(12), false));
        assert!(!Grace::from(at(10), Duration::ZERO).excuses(at(10), false) && !Grace::default().excuses(at(0), false));
    }

    #[test]
    fn it_goes_with_the_clock() {
        let mut grace = Grace::from(at(10), Duration::from_secs(5));
        grace.clock_set(-3_600_000);
        assert!(grace.excuses(at(14 - 3600), false) && !grace.excuses(at(15 - 3600), false));
    }
}
