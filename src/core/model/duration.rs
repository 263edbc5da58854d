//! Durations as people write them.

use std::fmt;
use std::time::Duration;

use super::text::text_type;

/// A length of time written as a number and a unit: `500ms`, `2s`, `5m`, `1h`.
///
/// One unit and no fraction: there is one way to say a thing, and a review shows it. Above zero and at most 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(Duration);

/// The longest span: no interval, timeout or delay of this program makes sense past a day.
const SPAN_MAX: Duration = Duration::from_hours(24);

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A whole number above zero with one of the units.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || number.starts_with('0') || number.len() > 9 {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    let (_, unit_ms) = units.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number * unit_ms))
}

/// In the first unit that divides it.
fn write(f: &mut fmt::Formatter<'_>, duration: Duration, units: &[(&str, u64)]) -> fmt::Result {
    let millis = duration.as_millis();
    let divides = |unit_ms: u64| millis.is_multiple_of(u128::from(unit_ms));
    let found = units.iter().find(|(_, unit_ms)| divides(*unit_ms));
    let (unit, unit_ms) = found.copied().unwrap_or(("ms", 1));
    write!(f, "{}{unit}", millis / u128::from(unit_ms))
}

impl TimeSpan {
    fn parse(text: &str) -> Option<Self> {
        let units = [("ms", 1), ("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS)];
        parse(text, &units).filter(|duration| *duration <= SPAN_MAX).map(Self)
    }

    /// The span as the standard library's duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &[("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS), ("ms", 1)])
    }
}

text_type!(
    TimeSpan,
    name: "TimeSpan",
    expected: "a duration: a whole number and a unit (ms, s, m, h), above zero and at most `24h`, such as `2s`",
    pattern: "^[1-9][0-9]{0,8}(ms|s|m|h)$",
    examples: ["500ms", "2s", "5m"]
);

/// How long a decision holds, written as a number and a unit: `90s`, `30m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(Duration);

/// The longest term. What is to hold for longer is no temporary decision, and belongs into the inventory.
const TERM_MAX: Duration = Duration::from_hours(30 * 24);

impl Term {
    fn parse(text: &str) -> Option<Self> {
        let units = [("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS), ("d", DAY_MS)];
        parse(text, &units).filter(|duration| *duration <= TERM_MAX).map(Self)
    }

    /// The term as the standard library's duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &[("d", DAY_MS), ("h", HOUR_MS), ("m", MINUTE_MS), ("s", SECOND_MS)])
    }
}

text_type!(
    Term,
    name: "Term",
    expected: "a duration: a whole number and a unit (s, m, h, d), above zero and at most `30d`, such as `2h`",
    pattern: "^[1-9][0-9]{0,8}(s|m|h|d)$",
    examples: ["30m", "2h", "7d"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_end_at_thirty_days() {
        for (text, expected) in [
            ("3s", Some("3s")),
            ("90m", Some("90m")),
            ("120m", Some("2h")),
            ("48h", Some("2d")),
            ("30d", Some("30d")),
            ("720h", Some("30d")),
            ("721h", None),
            ("31d", None),
            ("999999999d", None),
            ("500ms", None),
            ("0s", None),
            ("2", None),
            ("2 h", None),
            ("-1h", None),
            ("1h30m", None),
            ("forever", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Term>().ok().map(|term| term.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn spans_round_trip_through_their_shortest_form() {
        for (text, expected) in [
            ("500ms", Some("500ms")),
            ("2s", Some("2s")),
            ("2000ms", Some("2s")),
            ("90s", Some("90s")),
            ("120s", Some("2m")),
            ("24h", Some("24h")),
            ("25h", None),
            ("0s", None),
            ("2", None),
            ("2 s", None),
            ("1.5s", None),
            ("-1s", None),
            ("2d", None),
            ("1m30s", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<TimeSpan>().ok().map(|span| span.to_string()).as_deref(), expected, "{text:?}");
        }
    }
}
