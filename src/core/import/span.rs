use serde_json::Value;

use crate::core::model::TimeSpan;

/// Nanoseconds of Go's units, longest names first so that `ms` is not taken for minutes. `d` is Caddy's own.
const UNITS: [(&str, f64); 8] =
    [("ms", 1e6), ("us", 1e3), ("µs", 1e3), ("ns", 1.0), ("d", 86_400e9), ("h", 3_600e9), ("m", 60e9), ("s", 1e9)];

/// A duration as Caddy has it, a number of nanoseconds or Go's text; none where an inventory cannot say it.
pub(super) fn read(value: &Value) -> Option<TimeSpan> {
    let nanos = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => nanos(text)?,
        _ => return None,
    };
    let millis = nanos / 1e6;
    // To whole milliseconds: nobody waits for less.
    (millis >= 1.0).then(|| format!("{millis:.0}ms")).and_then(|text| text.parse().ok())
}

fn nanos(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        sum += number.parse::<f64>().ok()? * unit;
        rest = &after[name.len()..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_of_go_are_read() {
        for (value, expected) in [
            (json!(5_000_000_000_u64), Some("5s")),
            (json!("1m30s"), Some("90s")),
            (json!("1.5s"), Some("1500ms")),
            (json!("250ms"), Some("250ms")),
            (json!("1d"), Some("24h")),
            (json!("2d"), None),
            (json!("0"), None),
            (json!(0), None),
            (json!("soon"), None),
        ] {
            assert_eq!(read(&value).map(|span| span.to_string()).as_deref(), expected, "{value}");
        }
    }
}
