use std::time::Duration;

use crate::core::model::Timestamp;

/// Steps from the first share to the whole of it.
const STEPS: u8 = 4;
/// Steps fall on whole multiples of this time, by the wall clock, so that those of backends which came back within a few
/// seconds share one push.
const GRID: Duration = Duration::from_secs(5);

/// A share of traffic that grows: a quarter at first, and a quarter more after each third of a time.
///
/// In steps, and few, since each of them is a push: Caddy's own shares are a list of upstreams in its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rise {
    /// When it began.
    pub since: Timestamp,
    /// Quarters of the whole: 1, 2 or 3.
    pub quarters: u8,
}

impl Rise {
    /// How far what began at a moment has come; none where it has all, and with it the moment of the next step.
    pub(super) fn at(now: Timestamp, since: Timestamp, length: Duration) -> Option<(Self, Timestamp)> {
        // The clock may have been set back.
        let since = since.min(now);
        let mut steps = (1..STEPS).map(|step| (step, step_at(since, length, step)));
        let (quarters, next_at) = steps.find(|(_, at)| *at > now)?;
        Some((Self { since, quarters }, next_at))
    }

    /// Quarters that are still to come.
    pub(in crate::core) const fn rest(self) -> u8 {
        STEPS - self.quarters
    }

    /// The share in percent.
    pub const fn percent(self) -> u8 {
        self.quarters * (100 / STEPS)
    }
}

/// Traffic that moves back from one tier to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// The tier that it leaves; the chosen one is where it goes.
    pub from: usize,
    /// How much of it has moved.
    pub rise: Rise,
}

/// Quarters of a rise; the whole where there is none.
pub(in crate::core) fn quarters(rise: Option<Rise>) -> u8 {
    rise.map_or(STEPS, |rise| rise.quarters)
}

fn step_at(since: Timestamp, length: Duration, step: u8) -> Timestamp {
    let pace = length / u32::from(STEPS - 1);
    let grid = i64::try_from(pace.min(GRID).as_millis()).unwrap_or(i64::MAX).max(1);
    let at = since.plus(pace * u32::from(step)).unix_millis();
    let past = at.rem_euclid(grid);
    Timestamp::from_unix_millis(if past == 0 { at } else { at - past + grid })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn percent(since_ms: i64, now_ms: i64) -> u8 {
        let (since, now) = (Timestamp::from_unix_millis(since_ms), Timestamp::from_unix_millis(now_ms));
        Rise::at(now, since, LENGTH).map_or(100, |(rise, next_at)| {
            assert!(next_at > now, "the next step is in the future");
            rise.percent()
        })
    }

    #[test]
    fn a_share_grows_by_quarters() {
        let shares = [0, 9_999, 10_000, 19_999, 20_000, 29_999, 30_000, 1_000_000].map(|now| percent(0, now));
        assert_eq!(shares, [25, 25, 50, 50, 75, 75, 100, 100]);
    }

    #[test]
    fn steps_of_what_began_within_five_seconds_are_one() {
        for since in [1, 700, 4_999, 5_000] {
            assert_eq!([14_999, 15_000, 25_000, 35_000].map(|now| percent(since, now)), [25, 50, 75, 100], "{since}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_begins_it_anew() {
        assert_eq!([0, 10_000].map(|now| percent(9_000_000, now)), [25, 25]);
        let (rise, _) =
            Rise::at(Timestamp::from_unix_millis(7), Timestamp::from_unix_millis(99), LENGTH).expect("it rises");
        assert_eq!(rise.since, Timestamp::from_unix_millis(7));
    }
}
