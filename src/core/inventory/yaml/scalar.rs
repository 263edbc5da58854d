use serde_json::Value;

/// What a plain (unquoted) scalar means by the core schema (YAML 1.2.2, section 10.3.2).
///
/// An integer beyond 64 bits and a float that JSON cannot say stay texts: they are then refused as texts with their own
/// spelling in the message.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let starts_like_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if !starts_like_number {
        return Value::from(text);
    }
    integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::from(text))
}

fn integer(text: &str) -> Option<Value> {
    let radix = |prefix, radix| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| text.parse().ok()).map(Value::from)
}

fn float(text: &str) -> Option<Value> {
    let digits = text.trim_start_matches(['+', '-']);
    let is_number = digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_number {
        return None;
    }
    serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("no", json!("no")),
            ("off", json!("off")),
            ("8080", json!(8080)),
            ("-1", json!(-1)),
            ("0o17", json!(15)),
            ("0x1f", json!(31)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("2s", json!("2s")),
            ("200-299", json!("200-299")),
            ("10.200.1.23", json!("10.200.1.23")),
            ("10.200.1.0/24", json!("10.200.1.0/24")),
            ("99999999999999999999", json!(1e20)),
            (".", json!(".")),
            ("-", json!("-")),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }
}
