use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{Compiled, texts};
use crate::core::inventory::finding::Spot;
use crate::core::inventory::suggest::{closest, listed};
use crate::core::inventory::yaml::escape;
use crate::core::model::TimeSpan;

/// Longest piece of an inventory that a message repeats, in characters: a host name of ordinary length. The snippet
/// below the message has the rest.
const SHOWN_MAX: usize = 64;

/// Something in one document that its schema or its type does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core::inventory) struct Flaw {
    /// The diagnostic's code.
    pub(in crate::core::inventory) code: &'static str,
    /// JSON pointer into the document.
    pub(in crate::core::inventory) pointer: String,
    /// What to underline there.
    pub(in crate::core::inventory) spot: Spot,
    /// What is wrong.
    pub(in crate::core::inventory) message: String,
    /// How to mend it.
    pub(in crate::core::inventory) hint: Option<String>,
}

/// What a key takes that is on or off.
const TRUTH: &str = "`true` or `false`";

impl Flaw {
    /// A flaw of the value at `pointer`.
    pub(in crate::core::inventory) fn value(code: &'static str, pointer: &str, message: String) -> Self {
        Self { code, pointer: pointer.to_owned(), spot: Spot::Value, message, hint: None }
    }

    /// A flaw of the key at `pointer`.
    fn key(code: &'static str, pointer: &str, message: String) -> Self {
        Self { spot: Spot::Key, ..Self::value(code, pointer, message) }
    }

    /// The same with a cure.
    pub(in crate::core::inventory) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Most flaws that are looked for in one document; who shows them stops before that.
pub(super) const FLAWS_MAX: usize = 200;

/// What is wrong with a document that its schema or its type has refused.
pub(in crate::core::inventory) fn flaws(schema: &Compiled, value: &Value) -> Vec<Flaw> {
    let mut found = texts::check(&schema.json, value);
    for error in schema.validator.iter_errors(value) {
        if found.len() >= FLAWS_MAX {
            break;
        }
        let pointer = error.instance_path().as_str();
        // Text was judged by its type, in better words.
        let is_said = found.iter().any(|flaw| flaw.pointer == pointer && flaw.spot == Spot::Value);
        if !is_said {
            found.extend(explain(&schema.json, &error));
        }
    }
    found
}

fn explain(root: &Value, error: &ValidationError<'_>) -> Vec<Flaw> {
    let pointer = error.instance_path().as_str();
    let schema = schema_at(root, pointer);
    let instance = error.instance();
    if instance.is_null() && !pointer.is_empty() {
        return vec![no_value(schema, pointer)];
    }
    let one = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            return unexpected.iter().take(FLAWS_MAX).map(|key| unknown_key(root, pointer, key)).collect();
        }
        ValidationErrorKind::Required { property } => {
            missing_key(schema, pointer, property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Enum { .. } => not_a_choice(schema, pointer, instance),
        ValidationErrorKind::Type { .. } => wrong_type(schema, pointer, instance),
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } => {
            out_of_range(schema, pointer, instance)
        }
        ValidationErrorKind::MinItems { .. } => {
            let flaw = Flaw::value("empty-list", pointer, format!("{} is an empty list", label(pointer)));
            flaw.hint("it needs at least one item")
        }
        ValidationErrorKind::MaxItems { limit } => {
            let flaw = Flaw::value("bad-value", pointer, format!("{} has more than {limit} items", label(pointer)));
            flaw.hint("remove some")
        }
        _ => Flaw::value("bad-value", pointer, format!("{}: {error}", label(pointer))),
    };
    vec![one]
}

fn no_value(schema: &Value, pointer: &str) -> Flaw {
    let message = format!("{} has no value", label(pointer));
    let hint = match (choices(schema).as_slice(), example(schema)) {
        ([], Some(example)) => format!("write one, such as `{example}`, or remove the key"),
        ([], None) => "write one, or remove the key".to_owned(),
        (choices, _) => format!("write one of {}, or remove the key", listed(choices.iter().copied())),
    };
    Flaw::key("missing-value", pointer, message).hint(hint)
}

fn unknown_key(root: &Value, pointer: &str, key: &str) -> Flaw {
    let schema = schema_at(root, pointer);
    let known: Vec<&str> = properties(schema).map(|(name, _)| name.as_str()).collect();
    let hint = match (further_out(root, pointer, key), closest(key, known.iter().copied())) {
        (Some(""), _) => format!("write `{key}` at the top of the document"),
        (Some(outer), _) => format!("write `{key}` in {}", label(outer)),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => match further_in(schema, key) {
            Some(inner) => format!("write it in `{inner}`: `{inner}: {{ {key}: … }}`"),
            None => format!("the keys here are {}", listed(known)),
        },
    };
    let place = if pointer.is_empty() { String::new() } else { format!(" in {}", label(pointer)) };
    Flaw::key("unknown-key", &format!("{pointer}/{}", escape(key)), format!("unknown key `{key}`{place}")).hint(hint)
}

/// The nearest mapping around the one at a pointer that has such a key.
fn further_out<'p>(root: &Value, pointer: &'p str, key: &str) -> Option<&'p str> {
    let outer = |inner: &&'p str| inner.rsplit_once('/').map(|(outer, _)| outer);
    let mut around = std::iter::successors(outer(&pointer), outer);
    around.find(|around| properties(schema_at(root, around)).any(|(name, _)| name == key))
}

/// The one mapping within that has such a key; none where several have it.
fn further_in<'s>(schema: &'s Value, key: &str) -> Option<&'s str> {
    let has_it = |(_, inner): &(&String, &Value)| properties(inner).any(|(name, _)| name == key);
    let mut within = properties(schema).filter(has_it).map(|(name, _)| name.as_str());
    within.next().filter(|_| within.next().is_none())
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn missing_key(schema: &Value, pointer: &str, key: &str) -> Flaw {
    let wanted = child(schema, key);
    let place = if pointer.is_empty() { "the document".to_owned() } else { label(pointer) };
    let sentence = wanted.get("description").and_then(Value::as_str).and_then(|text| text.split('.').next());
    let line = match (choices(wanted).first(), example(wanted)) {
        (Some(choice), _) => format!("{key}: {choice}"),
        (None, Some(example)) => format!("{key}: {example}"),
        (None, None) => format!("{key}:"),
    };
    let hint = sentence.map_or_else(|| format!("add `{line}`"), |sentence| format!("add `{line}` ({sentence})"));
    Flaw::key("missing-key", pointer, format!("{place} has no `{key}`")).hint(hint)
}

fn not_a_choice(schema: &Value, pointer: &str, instance: &Value) -> Flaw {
    let choices = choices(schema);
    let written = written(instance);
    let hint = match closest(&written, choices.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of {}", listed(choices.iter().copied())),
    };
    let message = format!("{} is `{written}`, which is not one of {}", label(pointer), listed(choices));
    Flaw::value("unknown-choice", pointer, message).hint(hint)
}

fn wrong_type(schema: &Value, pointer: &str, instance: &Value) -> Flaw {
    let wanted = schema.get("type").map_or("something else", type_in_words);
    let got = value_in_words(instance);
    if pointer.is_empty() {
        let message = format!("a document must be a mapping of keys to values, not {got}");
        let hint = "begin with `name:`; several documents in one file have a line `---` between them";
        return Flaw::value("wrong-type", pointer, message).hint(hint);
    }
    let message = format!("{} must be {wanted}, not {got}", label(pointer));
    let written = written(instance);
    let is_number = written.parse::<f64>().is_ok();
    let hint = match (wanted, instance) {
        ("text", Value::Number(_)) if texts::expected(schema) == Some(TimeSpan::EXPECTED) => {
            format!("a duration has a unit: `{written}s`")
        }
        ("text", Value::Number(_) | Value::Bool(_)) => format!("put it in quotes: `\"{written}\"`"),
        ("a list", Value::String(_) | Value::Number(_)) => format!("put it in brackets: `[{written}]`"),
        ("a whole number", Value::String(_)) if is_number => format!("remove the quotes: `{written}`"),
        _ => match example(schema) {
            Some(example) => format!("write it like `{example}`"),
            // The message has said what it must be.
            None if wanted == TRUTH => format!("write `{}`", truth(&written)),
            None if wanted == "a mapping" => {
                format!("its keys are {}", listed(properties(schema).map(|(name, _)| name.as_str())))
            }
            None => format!("write {wanted}"),
        },
    };
    Flaw::value("wrong-type", pointer, message).hint(hint)
}

/// What is meant by the words for it that YAML takes for text.
fn truth(written: &str) -> &'static str {
    let is_no = ["0", "false", "n", "no", "off"].iter().any(|no| written.eq_ignore_ascii_case(no));
    if is_no { "false" } else { "true" }
}

fn out_of_range(schema: &Value, pointer: &str, instance: &Value) -> Flaw {
    let bound = |name| schema.get(name).map_or_else(|| "any".to_owned(), Value::to_string);
    let range = format!("from {} to {}", bound("minimum"), bound("maximum"));
    let message = format!("{} is {instance}, which is out of range", label(pointer));
    Flaw::value("out-of-range", pointer, message).hint(format!("it goes {range}"))
}

/// The part of a schema that judges the value at a JSON pointer. Schemas have no references, so a walk finds it.
fn schema_at<'s>(root: &'s Value, pointer: &str) -> &'s Value {
    let step = |schema: &'s Value, token: &str| match schema.get("items") {
        Some(items) => items,
        None => child(schema, &token.replace("~1", "/").replace("~0", "~")),
    };
    pointer.split('/').skip(1).fold(root, step)
}

/// The part of a mapping's schema that judges the value under `key`; nothing for keys that it does not know.
pub(super) fn child<'s>(schema: &'s Value, key: &str) -> &'s Value {
    let own = schema.get("properties").and_then(|properties| properties.get(key));
    own.or_else(|| schema.get("additionalProperties").filter(|any| any.is_object())).unwrap_or(&Value::Null)
}

/// The words that a schema's choice takes.
fn choices(schema: &Value) -> Vec<&str> {
    let choices = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    choices.filter_map(Value::as_str).collect()
}

fn example(schema: &Value) -> Option<String> {
    if let Some(first) = schema.get("examples").and_then(|examples| examples.get(0)) {
        return Some(written(first));
    }
    Some(format!("[{}]", example(schema.get("items")?)?))
}

/// What stands at a pointer, in words: `health.interval`, an item of `domains`.
fn label(pointer: &str) -> String {
    let mut tokens: Vec<&str> = pointer.split('/').skip(1).collect();
    let is_item = tokens.last().is_some_and(|token| token.bytes().all(|byte| byte.is_ascii_digit()));
    if is_item {
        tokens.pop();
        return format!("an item of `{}`", tokens.join("."));
    }
    format!("`{}`", tokens.join("."))
}

/// A value as somebody would write it in YAML.
fn written(value: &Value) -> String {
    shortened(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Enough of a text to recognise it in a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn type_in_words(name: &Value) -> &'static str {
    match name.as_str() {
        Some("string") => "text",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => TRUTH,
        Some("array") => "a list",
        Some("object") => "a mapping",
        _ => "text or a whole number",
    }
}

fn value_in_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
