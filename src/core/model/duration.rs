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

impl TimeSpan {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() || number.starts_with('0') || number.len() > 9 {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let duration = Duration::from_millis(number * unit_ms);
        (duration <= SPAN_MAX).then_some(Self(duration))
    }

    /// The span as the standard library's duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (unit, unit_ms) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
            if millis.is_multiple_of(unit_ms) {
                return write!(f, "{}{unit}", millis / unit_ms);
            }
        }
        write!(f, "{millis}ms")
    }
}

text_type!(
    TimeSpan,
    name: "TimeSpan",
    expected: "a duration: a whole number and a unit (ms, s, m, h), above zero and at most `24h`, such as `2s`",
    pattern: "^[1-9][0-9]{0,8}(ms|s|m|h)$",
    examples: ["500ms", "2s", "5m"]
);

#[cfg(test)]
mod tests {
    use super::*;

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
