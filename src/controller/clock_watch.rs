use std::time::Duration;

use tokio::time::Instant;

use crate::core::model::Timestamp;

/// A difference up to this is none: both clocks cannot be read at one moment, and one that is set by less does no harm.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Notices when the wall clock is set, by a clock that nobody can set.
#[derive(Debug)]
pub(super) struct ClockWatch {
    wall: Timestamp,
    steady: Instant,
}

impl ClockWatch {
    pub(super) fn new(wall: Timestamp) -> Self {
        Self { wall, steady: Instant::now() }
    }

    /// By how many milliseconds the wall clock was set since the last look; none where it was not.
    pub(super) fn set_by(&mut self, wall: Timestamp) -> Option<i64> {
        let Self { wall: before, steady } = std::mem::replace(self, Self::new(wall));
        let passed = i64::try_from(steady.elapsed().as_millis()).unwrap_or(i64::MAX);
        let by = wall.unix_millis().saturating_sub(before.unix_millis()).saturating_sub(passed);
        (u128::from(by.unsigned_abs()) > TOLERANCE.as_millis()).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_is_noticed_once() {
        let at = Timestamp::from_unix_millis;
        let mut watch = ClockWatch::new(at(1_000_000));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(watch.set_by(at(1_005_000)), None);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(watch.set_by(at(1_000_000)), Some(-10_000));
        assert_eq!(watch.set_by(at(1_000_500)), None, "it is off by too little");
        assert_eq!(watch.set_by(at(4_600_500)), Some(3_600_000));
        assert_eq!(watch.set_by(at(4_600_500)), None);
    }
}
