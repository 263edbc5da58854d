use super::Report;
use crate::core::model::Timestamp;

/// What a step is worth, in percent. As with slow start: each step is a push, since Caddy's shares are a list of upstreams in its
/// configuration.
const STEP: u8 = 25;
/// How far a report has to be from the share that holds to be heard: more than half a step, so that one that moves a little
/// around the middle of two steps moves nothing.
const AWAY: u8 = 20;
/// Shares change in the first answer after each half minute of the wall clock. However often a backend reports, it causes two
/// pushes a minute at most; and the changes of many backends come together, to share one push.
const GRID_MS: i64 = 30_000;

/// How much of its share of the traffic a backend asks for by its reports, in steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Steps less than the whole: from 0 to 3.
    less: u8,
    /// When that changed last.
    changed_at: Option<Timestamp>,
}

impl Share {
    /// The share of so many percent, at no known moment; what is no step is the nearest one.
    pub fn of_percent(percent: u8) -> Self {
        let less = (100 - percent.min(100) + STEP / 2).div_euclid(STEP).min(3);
        Self { less, changed_at: None }
    }

    /// The share in percent: 25, 50, 75 or 100.
    pub const fn percent(self) -> u8 {
        100 - self.less * STEP
    }

    /// Hears a report. One that does not speak of it asks for the whole, and no report at all leaves the share as it is. True
    /// where it is another one now.
    pub fn take(&mut self, report: Option<Report>, at: Timestamp) -> bool {
        let Some(report) = report else { return false };
        let asked = report.percent.unwrap_or(100).clamp(1, 100);
        let cell = |at: Timestamp| at.unix_millis().div_euclid(GRID_MS);
        let is_early = self.changed_at.is_some_and(|changed| cell(changed) == cell(at));
        // The nearest step, and never none.
        let less = (100 - asked + STEP / 2).div_euclid(STEP).min(3);
        if is_early || less == self.less || asked.abs_diff(self.percent()) < AWAY {
            return false;
        }
        (self.less, self.changed_at) = (less, Some(at));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1000)
    }

    fn asks(percent: u8) -> Report {
        Report { drains: false, percent: Some(percent) }
    }

    #[test]
    fn shares_move_in_steps_and_not_for_a_little() {
        let mut share = Share::default();
        let mut second = 0;
        for (asked, expected) in [
            (100, 100),
            (81, 100),
            (80, 75),
            (94, 75),
            (95, 100),
            (50, 50),
            (60, 50),
            (31, 50),
            (1, 25),
            (44, 25),
            (45, 50),
            (12, 25),
            (100, 100),
        ] {
            second += 30;
            let before = share.percent();
            assert_eq!(share.take(Some(asks(asked)), at(second)), before != expected, "{asked}");
            assert_eq!(share.percent(), expected, "{asked}");
        }
    }

    #[test]
    fn silence_leaves_it_and_a_report_without_it_asks_for_the_whole() {
        let mut share = Share::default();
        assert!(share.take(Some(asks(50)), at(0)));
        assert!(!share.take(None, at(60)));
        assert_eq!(share.percent(), 50);
        assert!(share.take(Some(Report::default()), at(90)));
        assert_eq!(share.percent(), 100);
    }

    #[test]
    fn another_number_each_second_moves_it_twice_a_minute() {
        let mut share = Share::default();
        let moves = (0..600).filter(|second| {
            let asked = [100, 10, 60, 35][usize::try_from(second % 4).expect("small")];
            share.take(Some(asks(asked)), at(*second))
        });
        let moves: Vec<_> = moves.collect();
        assert!((10..=20).contains(&moves.len()), "{moves:?}");
        // What holds after all of it is what was asked for at some time, and the last word is heard.
        share.take(Some(asks(50)), at(630));
        assert_eq!(share.percent(), 50);
    }
}
