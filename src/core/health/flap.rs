use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::model::Timestamp;

/// What going down once adds to the score: the unit, in thousandths, so that the state file has whole numbers.
const PENALTY: f64 = 1000.0;
/// Time in which half of a score is forgotten. Two minutes: a backend that goes down less often than every 70 s never
/// gathers [`HOLD_ABOVE`], so that three outages close together in an hour are forgiven; one that goes down every 10 or
/// every 20 s has it with the fourth.
const HALF_LIFE: Duration = Duration::from_mins(2);
/// A backend is held down from the flip on that brings its score above this. Three flips never do, however close.
const HOLD_ABOVE: f64 = 3.0 * PENALTY;
/// It is let in again once its score has decayed to this. Half of the other, so that the first hold lasts over two minutes;
/// and one and a half flips, so that whoever goes on flipping is held again after the second.
const REUSE_BELOW: f64 = HOLD_ABOVE / 2.0;
/// The longest hold after the last flip: what was mended serves again soon, without an operator.
const HOLD_MAX: Duration = Duration::from_mins(5);

/// How often a backend went down lately, and what follows from it.
///
/// Rise and fall tell a backend that is up from one that is down; they do not help against one that is up for ten seconds
/// and down for ten, forever: each time it comes back requests are sent to it, and fail a moment later. So every change
/// from up to down adds to a score that halves with time. Once it is high the backend is held down, though its probes pass,
/// until the score is low again. While it is held it goes on being probed, and every further flip makes the hold longer.
///
/// It is what RFC 2439 has routers do with a route that is announced and withdrawn over and over: a figure of merit with
/// exponential decay, one threshold to suppress and a lower one to reuse, and a limit to the score that bounds the time from
/// the last withdrawal to reuse. Three things are different here. Half-lives are minutes in place of a quarter of an hour,
/// as a probe is made every second or two. Only going down counts: a new weight or address is no fault. And a route that is
/// suppressed may leave a network without any; a backend is held only while another of its service is known to be up,
/// which routing decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// The score when it was last counted: a thousand for every flip, and what was left of those before.
    pub score: u32,
    /// When that was; none before the first flip.
    pub at: Option<Timestamp>,
    /// Until when it holds the backend down, unless it flips again; none where it never did.
    pub held_until: Option<Timestamp>,
}

impl Flap {
    /// Counts a change from up to down.
    pub fn count(&mut self, at: Timestamp) {
        let was_held = self.hold(at).is_some();
        let ceiling = REUSE_BELOW * HOLD_MAX.div_duration_f64(HALF_LIFE).exp2();
        let score = (self.decayed(at) + PENALTY).min(ceiling);
        if was_held || score > HOLD_ABOVE {
            let hold = HALF_LIFE.mul_f64((score / REUSE_BELOW).log2().max(0.0)).min(HOLD_MAX);
            self.held_until = Some(at.plus(hold));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the ceiling, 8485")]
        let score = score.round() as u32;
        (self.score, self.at) = (score, Some(at));
    }

    /// Until when the backend is held down; none where it is not.
    pub fn hold(&self, now: Timestamp) -> Option<Timestamp> {
        // One that ends later than any hold could was begun before the clock was set back, and would last as long as the
        // clock was wrong.
        self.held_until.filter(|until| *until > now && *until <= now.plus(HOLD_MAX))
    }

    /// True for a backend that went down, came back, and went down again, all within a few minutes.
    pub fn is_relapse(&self, now: Timestamp) -> bool {
        self.decayed(now) > PENALTY
    }

    /// What is left of the score. A clock that went back forgets nothing.
    fn decayed(&self, now: Timestamp) -> f64 {
        let age = self.at.map_or(Duration::ZERO, |at| now.since(at));
        f64::from(self.score) * (-age.div_duration_f64(HALF_LIFE)).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_700_000_000_000 + second * 1000)
    }

    /// Goes down every `period` seconds, so often, and returns which of these times (from 1) was the first that held it.
    fn first_hold(period: i64, flips: i64) -> Option<i64> {
        let mut flap = Flap::default();
        (0..flips).find_map(|number| {
            flap.count(at(number * period));
            flap.hold(at(number * period)).map(|_| number + 1)
        })
    }

    #[test]
    fn only_who_flips_over_and_over_is_held() {
        for (period, expected) in
            [(1, Some(4)), (10, Some(4)), (20, Some(4)), (30, Some(4)), (60, Some(7)), (71, None), (1800, None)]
        {
            assert_eq!(first_hold(period, 2000), expected, "every {period} s");
        }
    }

    #[test]
    fn a_second_outage_soon_after_the_first_is_a_relapse() {
        let mut flap = Flap::default();
        flap.count(at(0));
        assert!(!flap.is_relapse(at(0)), "the first");
        flap.count(at(30));
        assert!(flap.is_relapse(at(30)) && flap.is_relapse(at(100)) && !flap.is_relapse(at(150)));
        flap.count(at(3600));
        assert!(!flap.is_relapse(at(3600)), "an hour later");
    }

    #[test]
    fn a_few_outages_an_hour_are_forgiven_however_close() {
        let mut flap = Flap::default();
        for hour in 0..1000 {
            for second in [0, 5, 10] {
                flap.count(at(hour * 3600 + second));
                assert_eq!(flap.hold(at(hour * 3600 + second)), None, "{flap:?}");
            }
        }
    }

    #[test]
    fn a_hold_grows_with_every_flip_and_is_bounded() {
        let mut flap = Flap::default();
        let mut holds = Vec::new();
        for number in 0..40 {
            let now = at(number * 10);
            flap.count(now);
            holds.extend(flap.hold(now).map(|until| until.since(now)));
        }
        assert_eq!(flap.score, 8485, "the score has a ceiling");
        assert!(holds.is_sorted(), "{holds:?}");
        assert!((Duration::from_mins(2)..Duration::from_mins(3)).contains(&holds[0]), "{holds:?}");
        assert_eq!((holds[36].as_secs(), holds[36] <= HOLD_MAX), (HOLD_MAX.as_secs(), true), "{holds:?}");
    }

    #[test]
    fn a_hold_ends_by_itself_and_comes_sooner_the_second_time() {
        let mut flap = Flap::default();
        (0..4).for_each(|number| flap.count(at(number * 10)));
        let until = flap.hold(at(30)).expect("it is held");
        let last = Timestamp::from_unix_millis(until.unix_millis() - 1);
        assert_eq!((flap.hold(last), flap.hold(until)), (Some(until), None));
        flap.count(until);
        assert_eq!(flap.hold(until), None);
        flap.count(until.plus(Duration::from_secs(10)));
        assert!(flap.hold(until.plus(Duration::from_secs(10))).is_some(), "{flap:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_hold() {
        let mut flap = Flap::default();
        (0..4).for_each(|number| flap.count(at(86_400 + number)));
        assert!(flap.hold(at(86_403)).is_some());
        assert_eq!(flap.hold(at(0)), None);
        flap.count(at(0));
        assert!(flap.hold(at(0)).is_some_and(|until| until <= at(0).plus(HOLD_MAX)), "{flap:?}");
    }
}
