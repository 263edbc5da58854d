use serde_json::Number;

use super::Content;

/// A plain scalar by the YAML 1.2 core schema (section 10.3.2). Infinity and not-a-number, which no inventory has a use
/// for and JSON cannot say, stay text.
pub(super) fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Content::Null,
        "true" | "True" | "TRUE" => return Content::Bool(true),
        "false" | "False" | "FALSE" => return Content::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Content::Text(text.to_owned()), Content::Number)
}

fn number(text: &str) -> Option<Number> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let integer = text.strip_prefix('+').unwrap_or(text);
        let exact = integer.parse::<i64>().map(Number::from).or_else(|_| integer.parse::<u64>().map(Number::from));
        return exact.ok().or_else(|| float(text));
    }
    is_float(unsigned).then(|| float(text)).flatten()
}

fn radix(digits: &str, radix: u32) -> Option<Number> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain).map(Number::from)
}

/// `( "." [0-9]+ | [0-9]+ ( "." [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits
        && all_digits(whole)
        && all_digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

/// JSON schema takes `8080.0` for the whole number 8080; so that every later step agrees, it is one from here on.
fn float(text: &str) -> Option<Number> {
    let float: f64 = text.strip_prefix('+').unwrap_or(text).parse().ok()?;
    let is_whole = float.fract() == 0.0 && float.abs() < WHOLE_MAX;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and below the bound")]
    let whole = is_whole.then(|| Number::from(float as i64));
    whole.or_else(|| Number::from_f64(float))
}

/// Whole numbers below 2^53 are exact in a float (IEEE 754).
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Null", "null"),
            ("true", "true"),
            ("FALSE", "false"),
            ("yes", "\"yes\""),
            ("off", "\"off\""),
            ("0", "0"),
            ("-12", "-12"),
            ("+12", "12"),
            ("0123", "123"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("0x-1", "\"0x-1\""),
            ("18446744073709551615", "18446744073709551615"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("1.", "1"),
            ("1e3", "1000"),
            ("8080.0", "8080"),
            ("1e300", "1e+300"),
            ("-1.5E-2", "-0.015"),
            (".", "\".\""),
            ("-", "\"-\""),
            ("1e", "\"1e\""),
            ("1e999", "\"1e999\""),
            (".inf", "\".inf\""),
            ("200-299", "\"200-299\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("1:30", "\"1:30\""),
        ] {
            let node = crate::core::inventory::yaml::Node {
                place: crate::core::model::Place { line: 1, column: 1, start: 0, end: 0 },
                content: plain(text),
            };
            assert_eq!(node.to_value().to_string(), expected, "{text:?}");
        }
    }
}
