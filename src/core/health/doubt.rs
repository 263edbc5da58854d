use super::step::RELAPSE_PASSES;
use super::{Outcome, Verdict};
use crate::core::inventory::Probe;

/// Whether the newest answers of a backend leave in doubt what to believe of it: nothing is known yet, or the last of them
/// contradicts what was believed. Then it is worth asking sooner.
///
/// This counts by itself and not with what is observed: who asks need not wait for who judges. What else speaks for or
/// against a verdict (a prober that is cut off, a grace) only changes how soon is asked again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubt {
    believed: Verdict,
    passes: u32,
    fails: u32,
}

impl Doubt {
    /// Takes one result. A probe that could not be made says nothing.
    pub fn take(&mut self, outcome: &Outcome, probe: &Probe) {
        if !outcome.tells_of_backend() {
            return;
        }
        if outcome.is_pass() {
            (self.passes, self.fails) = (self.passes.saturating_add(1), 0);
        } else {
            (self.passes, self.fails) = (0, self.fails.saturating_add(1));
        }
        // Whether it has relapsed is not known here: the one probe that this is too many costs nothing.
        let more = if self.is_down() { RELAPSE_PASSES } else { 0 };
        if self.passes >= probe.rise + more {
            self.believed = Verdict::Up;
        } else if self.fails >= probe.fall {
            self.believed = Verdict::Down;
        }
    }

    /// True where enough answers have said that the backend is down.
    pub const fn is_down(self) -> bool {
        matches!(self.believed, Verdict::Down)
    }

    /// True while the next answer matters more than usual.
    pub const fn is_open(self) -> bool {
        match self.believed {
            Verdict::Unknown => true,
            Verdict::Up => self.fails > 0,
            Verdict::Down => self.passes > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::health::Failure;
    use crate::core::inventory::ProbeKind;

    #[test]
    fn doubt_ends_with_a_verdict_and_begins_with_a_contradiction() {
        let probe = Probe { rise: 2, fall: 3, ..Probe::new(ProbeKind::Tcp) };
        for (history, expected) in [
            ("", "?"),
            ("+", "?"),
            ("++", "."),
            ("++-", "?"),
            ("++-+", "."),
            ("++--", "?"),
            ("++---", "."),
            ("++---+", "?"),
            ("++---+-", "."),
            ("++---++", "?"),
            ("++---+++", "."),
            ("--+-", "?"),
            ("++!", "."),
            ("++-!", "?"),
        ] {
            let mut doubt = Doubt::default();
            for result in history.chars() {
                let outcome = match result {
                    '+' => Outcome::Pass,
                    '-' => Outcome::Fail(Failure::Timeout),
                    _ => Outcome::Fail(Failure::Prober("too many open files".to_owned())),
                };
                doubt.take(&outcome, &probe);
            }
            assert_eq!(doubt.is_open(), expected == "?", "{history}");
        }
    }
}
