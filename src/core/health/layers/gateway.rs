use crate::core::health::{Outcome, Verdict};
use crate::core::model::Timestamp;

/// Failures in a row that take a gateway down. One lost packet is sent again within the probe's time, so two failures
/// are two seconds without a way.
const FALL: u32 = 2;

/// What is known of a gateway behind a tunnel. Whatever comes from it came through the tunnel, so one answer of any kind is
/// enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gateway {
    /// What is believed.
    pub(super) verdict: Verdict,
    /// When it last answered in any way.
    pub(super) answered_at: Option<Timestamp>,
    /// When the failures in a row began; none after an answer.
    pub(super) failing_since: Option<Timestamp>,
    /// What the last one was.
    pub(super) failure: Option<String>,
    fails: u32,
}

impl Gateway {
    /// Takes what came of one try. A refused connection is an answer; a try that could not be made says nothing.
    pub(super) fn take(&mut self, at: Timestamp, outcome: &Outcome) {
        if !outcome.tells_of_backend() {
            return;
        }
        match outcome {
            Outcome::Fail(failure) if failure.is_out_of_reach() => {
                self.fails = self.fails.saturating_add(1);
                self.failing_since.get_or_insert(at);
                self.failure = Some(failure.to_string());
                if self.fails >= FALL {
                    self.verdict = Verdict::Down;
                }
            }
            Outcome::Pass | Outcome::Fail(_) => {
                let answered_at = Some(at);
                *self = Self { verdict: Verdict::Up, answered_at, failing_since: None, failure: None, fails: 0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::health::Failure;

    /// The verdicts after each of `+` (answers), `r` (refuses), `-` (silent), `p` (not asked).
    fn verdicts(history: &str) -> String {
        let mut gateway = Gateway::default();
        let letter = |(second, letter): (i64, char)| {
            let outcome = match letter {
                '+' => Outcome::Pass,
                'r' => Outcome::Fail(Failure::Refused("connection refused".to_owned())),
                '-' => Outcome::Fail(Failure::Timeout),
                _ => Outcome::Fail(Failure::Prober("no free socket".to_owned())),
            };
            gateway.take(Timestamp::from_unix_millis(second * 2000), &outcome);
            match gateway.verdict {
                Verdict::Unknown => '?',
                Verdict::Up => 'U',
                Verdict::Down => 'D',
            }
        };
        (0..).zip(history.chars()).map(letter).collect()
    }

    #[test]
    fn one_answer_is_enough_and_one_silence_is_not() {
        for (history, expected) in
            [("+", "U"), ("r", "U"), ("-", "?"), ("--", "?D"), ("+-+--r", "UUUUDU"), ("p-p-", "???D"), ("+ppp", "UUUU")]
        {
            assert_eq!(verdicts(history), expected, "{history}");
        }
    }
}
