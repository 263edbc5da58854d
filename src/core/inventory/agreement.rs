//! Property tests: reader, schema and types agree, and nothing that anybody may commit makes the loader panic.

mod docs;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
use super::report::{self, Style};
use super::schema::{Compiled, patterns, text_flaws};
use super::{Kind, load, yaml};
use crate::core::model::{FileSet, Revision};

/// What was written as YAML by another library is read back equal, and its schema takes it.
fn is_read_back<T>(kind: Kind, doc: &T) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_yaml::to_string(doc).expect("a document is YAML");
    let stream = yaml::read(&text);
    prop_assert!(stream.faults.is_empty(), "{:?}\n{text}", stream.faults);
    prop_assert_eq!(stream.documents.len(), 1, "{}", text);
    let value = stream.documents[0].root.to_value();
    prop_assert!(Compiled::of(kind).is_valid(&value), "{text}");
    prop_assert_eq!(&T::deserialize(&value).expect("what the schema takes"), doc, "{}", text);
    Ok(())
}

/// Whatever the type refuses, the schema or the check of texts refuses, in words of their own.
fn is_agreed<T>(kind: Kind, doc: &T, mutation: &Mutation) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(doc).expect("a document is JSON");
    mutation.apply(&mut value);
    let schema = Compiled::of(kind);
    let is_taken = schema.is_valid(&value) && text_flaws(schema, &value).is_empty();
    let by_type = T::deserialize(&value);
    if is_taken {
        prop_assert!(
            by_type.is_ok(),
            "{}\n{value:#}",
            by_type.err().map(|error| error.to_string()).unwrap_or_default()
        );
    }
    Ok(())
}

/// A change at a random place of a document.
#[derive(Debug, Clone)]
struct Mutation {
    place: usize,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Put(Value),
    Remove,
    Add(&'static str, Value),
}

impl Mutation {
    fn apply(&self, root: &mut Value) {
        let mut pointers = Vec::new();
        collect_pointers(root, String::new(), &mut pointers);
        let pointer = &pointers[self.place % pointers.len()];
        match &self.change {
            Change::Put(value) => *root.pointer_mut(pointer).expect("a pointer into it") = value.clone(),
            Change::Add(key, value) => {
                if let Some(Value::Object(entries)) = root.pointer_mut(pointer) {
                    entries.insert((*key).to_owned(), value.clone());
                }
            }
            Change::Remove => {
                let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
                match root.pointer_mut(parent) {
                    Some(Value::Object(entries)) => _ = entries.remove(key),
                    Some(Value::Array(items)) => _ = key.parse().map(|index: usize| items.remove(index)),
                    _ => {}
                }
            }
        }
    }
}

fn collect_pointers(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                collect_pointers(entry, format!("{pointer}/{key}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_pointers(item, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(pointer);
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2i64..70_000).prop_map(Value::from),
        (1u32..600).prop_map(|number| Value::from(f64::from(number) + 0.5)),
        texts().prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        texts().prop_map(|text| Value::from(vec![text])),
        Just(serde_json::json!({})),
    ];
    let keys = prop::sample::select(&["name", "health", "path", "weight", "tags", "x", "mode", "status", "after"][..]);
    let change = prop_oneof![
        4 => value.clone().prop_map(Change::Put),
        1 => Just(Change::Remove),
        1 => (keys, value).prop_map(|(key, value)| Change::Add(key, value)),
    ];
    (any::<usize>(), change).prop_map(|(place, change)| Mutation { place, change })
}

/// Text near the border of what some type takes: pieces that mean something to one, in any order.
fn texts() -> impl Strategy<Value = String> {
    let pieces: &[&str] = &[
        "http://",
        "https://",
        "HTTP://",
        "http:",
        "unix/",
        "unix//",
        "/",
        "//",
        ":",
        "*",
        "*.",
        ".",
        "..",
        "-",
        "_",
        "@",
        "?",
        "#",
        "%",
        "%1",
        "{",
        "}",
        "{env.X}",
        "[",
        "]",
        "[::1]",
        "::",
        "fe80::1",
        "10.0.0.1",
        "010.0.0.1",
        "255",
        "0",
        "00",
        "1",
        "24",
        "80",
        "443",
        "0443",
        "65536",
        "2xx",
        "200",
        "299",
        "700",
        "ms",
        "s",
        "m",
        "h",
        "2s",
        "a",
        "A",
        "acecinema.fr",
        "bücher",
        "xn--",
        "ß",
        "。",
        "\u{ad}",
        "\u{3000}",
        " ",
        "\t",
        "\n",
        "\u{0}",
        "ops",
        "run",
        "x.sock",
        "localhost",
        "+",
        "=",
        "&",
        ",",
        "~",
        "\\",
    ];
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(pieces), 0..5).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

/// Text near the border of what is YAML.
fn yaml_texts() -> impl Strategy<Value = String> {
    let pieces: &[&str] = &[
        "name: a",
        "name",
        ": ",
        ":",
        "\n",
        "\r\n",
        "\r",
        "  ",
        " ",
        "\t",
        "- ",
        "-",
        "---\n",
        "...\n",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "!x ",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "# c\n",
        "é",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\u{0}",
        "~",
        "1",
        "0x",
        "\\",
        "\\x41",
        "\\u",
        "service: web\n",
        "port: 80\n",
        "domains:\n",
        "  - x\n",
        "health: {path: /}\n",
        "{env.X}",
        "@",
        "`",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

/// Loads bytes as a file of each kind and shows what comes of it; every place must lie in its file.
fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut files = FileSet::new();
    for kind in Kind::ALL {
        files.insert(format!("{}/a.yaml", kind.folder()), bytes);
    }
    let loaded = load(&files, Revision::new("test"));
    for diagnostic in &loaded.diagnostics {
        let Some(place) = diagnostic.place else { continue };
        prop_assert!(place.start <= place.end && place.end <= bytes.len(), "{diagnostic}: {place:?}");
        let line_start =
            bytes[..place.start].iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        if let Ok(before) = std::str::from_utf8(&bytes[line_start..place.start]) {
            prop_assert_eq!(place.column, before.chars().count() + 1, "{}", diagnostic);
        }
    }
    report::text(&loaded.diagnostics, &files, "inventory/", Style::Coloured);
    report::json(&loaded.diagnostics, "inventory/");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sites_are_read_back(doc in docs::site()) { is_read_back::<SiteDoc>(Kind::Site, &doc)?; }

    #[test]
    fn services_are_read_back(doc in docs::service()) { is_read_back::<ServiceDoc>(Kind::Service, &doc)?; }

    #[test]
    fn backends_are_read_back(doc in docs::backend()) { is_read_back::<BackendDoc>(Kind::Backend, &doc)?; }

    #[test]
    fn edges_are_read_back(doc in docs::edge()) { is_read_back::<EdgeDoc>(Kind::Edge, &doc)?; }

    #[test]
    fn schema_and_type_agree_on_sites(doc in docs::site(), mutation in mutations()) {
        is_agreed::<SiteDoc>(Kind::Site, &doc, &mutation)?;
    }

    #[test]
    fn schema_and_type_agree_on_services(doc in docs::service(), mutation in mutations()) {
        is_agreed::<ServiceDoc>(Kind::Service, &doc, &mutation)?;
    }

    #[test]
    fn schema_and_type_agree_on_backends(doc in docs::backend(), mutation in mutations()) {
        is_agreed::<BackendDoc>(Kind::Backend, &doc, &mutation)?;
    }

    #[test]
    fn schema_and_type_agree_on_edges(doc in docs::edge(), mutation in mutations()) {
        is_agreed::<EdgeDoc>(Kind::Edge, &doc, &mutation)?;
    }

    #[test]
    fn what_a_type_takes_matches_its_pattern(text in texts()) {
        for pattern in patterns() {
            if (pattern.takes)(&text) {
                prop_assert!(pattern.matches(&text), "{} takes {text:?}, its pattern does not", pattern.expected);
                let braces = text.contains(['{', '}']);
                prop_assert!(!braces, "{} takes {text:?}", pattern.expected);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) { survives(&bytes)?; }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) { survives(text.as_bytes())?; }

    #[test]
    fn no_yaml_makes_it_panic(text in yaml_texts()) { survives(text.as_bytes())?; }
}
