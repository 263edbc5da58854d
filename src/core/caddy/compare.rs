//! When two Caddy configurations are the same.
//!
//! Caddy keeps a pushed configuration as parsed JSON and gives it back with its keys sorted, `<`, `>` and `&` escaped, and
//! every number passed through a 64-bit float (measured on 2.11.7: `5000000000000000001` comes back as
//! `5000000000000000000`, `200.0` as `200`). None of that is a difference.
//!
//! The `admin` section belongs to the edge and not to bascule: a push that changed it could lock everyone out, even a
//! rejected one (Caddy replaces its admin endpoint before it loads the rest). So it is left out of every comparison and
//! digest, and [`with_admin_of`] puts the edge's own section back into what is pushed.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use crate::core::model::Digest;

/// Caddy's key for the settings of the admin API itself.
pub(super) const ADMIN: &str = "admin";

/// True where both configurations say the same, apart from `admin`.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let not_admin = |(key, _): &(&String, &Value)| *key != ADMIN;
            let entries = left.iter().filter(not_admin);
            entries.clone().count() == right.iter().filter(not_admin).count()
                && entries.into_iter().all(|(key, value)| right.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => same_value(left, right),
    }
}

/// The identity of a configuration: the hash of its canonical bytes without `admin`. Equal where [`same`] is true.
pub fn digest(config: &Value) -> Digest {
    let mut bytes = Vec::new();
    match config {
        Value::Object(entries) => write_entries(entries.iter().filter(|(key, _)| *key != ADMIN), &mut bytes),
        other => write_canonical(other, &mut bytes),
    }
    Digest::of(&bytes)
}

/// The one spelling of a JSON value: keys sorted, no blanks, numbers as Caddy keeps them.
pub fn canonical_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_canonical(value, &mut bytes);
    bytes
}

/// `rendered` with the `admin` section of `actual`, or with none where `actual` has none. This is what is pushed.
#[must_use]
pub fn with_admin_of(rendered: &Value, actual: &Value) -> Value {
    let mut pushed = without_admin(rendered);
    if let (Value::Object(pushed), Some(admin)) = (&mut pushed, actual.get(ADMIN)) {
        pushed.insert(ADMIN.to_owned(), admin.clone());
    }
    pushed
}

/// True where the edge serves nothing: there is no app. An edge that was restarted without its last configuration is
/// like this; `admin`, `logging` and `storage` from a base file do not make it less empty.
pub fn is_empty(config: &Value) -> bool {
    match config.get("apps") {
        None | Some(Value::Null) => true,
        Some(Value::Object(apps)) => apps.is_empty(),
        Some(_) => false,
    }
}

fn without_admin(config: &Value) -> Value {
    match config {
        Value::Object(entries) => {
            let kept = entries.iter().filter(|(key, _)| *key != ADMIN);
            Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// [`same`] for a part of a configuration, where `admin` is a key like any other.
pub(super) fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same_value(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_value(left, right))
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || canonical_number(left) == canonical_number(right)
        }
        _ => left == right,
    }
}

fn write_canonical(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.extend_from_slice(b"null"),
        Value::Bool(true) => bytes.extend_from_slice(b"true"),
        Value::Bool(false) => bytes.extend_from_slice(b"false"),
        Value::Number(number) => bytes.extend_from_slice(canonical_number(number).as_bytes()),
        Value::String(text) => write_string(text, bytes),
        Value::Array(items) => {
            bytes.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write_canonical(item, bytes);
            }
            bytes.push(b']');
        }
        Value::Object(entries) => write_entries(entries.iter(), bytes),
    }
}

fn write_entries<'v>(entries: impl Iterator<Item = (&'v String, &'v Value)>, bytes: &mut Vec<u8>) {
    // Sorted here, so that it holds whichever map another crate's features give serde_json.
    let sorted: BTreeMap<&String, &Value> = entries.collect();
    bytes.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        write_string(key, bytes);
        bytes.push(b':');
        write_canonical(value, bytes);
    }
    bytes.push(b'}');
}

fn write_string(text: &str, bytes: &mut Vec<u8>) {
    serde_json::to_writer(bytes, text).expect("a string always serializes into memory");
}

/// Whole numbers up to here parse exactly, so they are written out; beyond, a parser may miss the last bit.
const WHOLE_MAX: f64 = 9_223_372_036_854_775_808.0;

/// A number as Caddy keeps it. Fractions go to 15 significant digits: what a person wrote with up to 15 survives, and the
/// last bit, in which two JSON parsers may differ, does not count.
fn canonical_number(number: &Number) -> String {
    let Some(exact) = number.as_f64() else { return number.to_string() };
    let is_whole = |float: f64| float.fract() == 0.0 && float.abs() <= WHOLE_MAX;
    // Rounding may make a large fraction whole, and then it is written like one.
    let kept = if is_whole(exact) { exact } else { format!("{exact:.14e}").parse().unwrap_or(exact) };
    match kept {
        0.0 => "0".to_owned(),
        whole if is_whole(whole) => format!("{whole}"),
        fraction => format!("{fraction:.14e}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("test JSON parses")
    }

    #[track_caller]
    fn check(left: &str, right: &str, expected: bool) {
        let (left, right) = (parsed(left), parsed(right));
        assert_eq!(same(&left, &right), expected, "{left} against {right}");
        assert_eq!(same(&right, &left), expected, "{right} against {left}");
        assert_eq!(digest(&left) == digest(&right), expected, "digests of {left} and {right}");
    }

    #[test]
    fn what_is_a_difference() {
        for (left, right, expected) in [
            ("null", "null", true),
            ("null", "{}", false),
            (r#"{"a":1,"b":[1,2]}"#, " { \"b\" : [1, 2],\n \"a\" : 1 } ", true),
            (r#"{"b":[1,2]}"#, r#"{"b":[2,1]}"#, false),
            (r#"{"a":"<&>"}"#, r#"{"a":"\u003c\u0026\u003e"}"#, true),
            (r#"{"a":200.0}"#, r#"{"a":200}"#, true),
            (r#"{"a":5000000000000000001}"#, r#"{"a":5000000000000000000}"#, true),
            (r#"{"a":0.1}"#, r#"{"a":0.10000000000000001}"#, true),
            (r#"{"a":0.1}"#, r#"{"a":0.2}"#, false),
            (r#"{"a":-0.0}"#, r#"{"a":0}"#, true),
            (r#"{"a":2036813500126389.5}"#, r#"{"a":2036813500126390}"#, true),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
            (r#"{"a":null}"#, "{}", false),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false),
        ] {
            check(left, right, expected);
        }
    }

    #[test]
    fn only_the_edges_own_admin_section_is_left_out() {
        check(r#"{"admin":{"listen":":1"},"apps":{}}"#, r#"{"apps":{}}"#, true);
        check(r#"{"admin":{"listen":":1"},"apps":{}}"#, r#"{"admin":{"listen":":2"},"apps":{}}"#, true);
        check(r#"{"admin":{"listen":":1"}}"#, r#"{"apps":{}}"#, false);
        // `admin` deeper down is somebody else's key.
        check(r#"{"apps":{"admin":1}}"#, r#"{"apps":{"admin":2}}"#, false);
    }

    #[test]
    fn a_push_carries_the_edges_admin_section() {
        let rendered = json!({"admin": {"listen": ":9"}, "apps": {"http": {}}});
        let own = json!({"admin": {"listen": "unix//run/a.sock", "origins": ["x"]}, "apps": {"old": 1}});
        assert_eq!(with_admin_of(&rendered, &own), json!({"admin": own["admin"], "apps": {"http": {}}}));
        for none in [json!(null), json!({}), json!({"apps": {}})] {
            assert_eq!(with_admin_of(&rendered, &none), json!({"apps": {"http": {}}}), "{none}");
        }
        // Present but null is the edge's own doing too.
        assert_eq!(with_admin_of(&json!({}), &json!({"admin": null})), json!({"admin": null}));
    }

    #[test]
    fn emptiness_is_about_apps() {
        for (config, expected) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"admin": {}, "logging": {}}), true),
            (json!({"apps": null}), true),
            (json!({"apps": {}}), true),
            (json!({"apps": {"http": {}}}), false),
            (json!({"apps": []}), false),
        ] {
            assert_eq!(is_empty(&config), expected, "{config}");
        }
    }

    #[test]
    fn canonical_bytes_have_one_spelling() {
        let bytes = canonical_bytes(&parsed(r#"{"b": [1.0, true, null], "a": {"é": "\u2028\"", "": 0.5}}"#));
        let text = String::from_utf8(bytes).expect("is UTF-8");
        assert_eq!(text, "{\"a\":{\"\":5.00000000000000e-1,\"é\":\"\u{2028}\\\"\"},\"b\":[1,true,null]}");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (prop::num::f64::NORMAL | prop::num::f64::ZERO).prop_map(Value::from),
            "[a-c<&>\u{e9}\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]{1,2}|admin", inner, 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn sameness_and_digest_agree(left in any_value(), right in any_value()) {
            prop_assert_eq!(same(&left, &right), digest(&left) == digest(&right));
        }

        #[test]
        fn canonical_bytes_parse_to_the_same_value(value in any_value()) {
            let again: Value = serde_json::from_slice(&canonical_bytes(&value)).expect("canonical bytes are JSON");
            prop_assert!(same_value(&value, &again), "{} came back as {}", value, again);
            prop_assert_eq!(canonical_bytes(&value), canonical_bytes(&again));
        }

        #[test]
        fn a_pushed_config_is_the_rendered_one(rendered in any_value(), actual in any_value()) {
            let pushed = with_admin_of(&rendered, &actual);
            prop_assert!(same(&pushed, &rendered));
            if rendered.is_object() {
                prop_assert_eq!(pushed.get(ADMIN), actual.get(ADMIN));
            }
        }
    }
}
