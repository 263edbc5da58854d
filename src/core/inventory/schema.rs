//! The JSON schemas, and what a document that does not match one is told.

use std::fmt;
use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::codes;
use super::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
use super::yaml::{Node, Part};
use crate::core::model::{Diagnostic, Severity};

/// What a document declares; the folder says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `sites/`.
    Site,
    /// `services/`.
    Service,
    /// `backends/`.
    Backend,
    /// `edges/`.
    Edge,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Site, Self::Service, Self::Backend, Self::Edge];

    /// The folder of its documents.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Site => "sites",
            Self::Service => "services",
            Self::Backend => "backends",
            Self::Edge => "edges",
        }
    }

    /// The schema that the program was built with: the same bytes as `schemas/*.json`.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Site => include_str!("../../../schemas/site.json"),
            Self::Service => include_str!("../../../schemas/service.json"),
            Self::Backend => include_str!("../../../schemas/backend.json"),
            Self::Edge => include_str!("../../../schemas/edge.json"),
        }
    }

    /// The compiled schema.
    fn validator(self) -> &'static Validator {
        static VALIDATORS: LazyLock<[Validator; 4]> = LazyLock::new(|| Kind::ALL.map(compile));
        &VALIDATORS[self as usize]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "site",
            Self::Service => "service",
            Self::Backend => "backend",
            Self::Edge => "edge",
        })
    }
}

fn compile(kind: Kind) -> Validator {
    let schema: Value = serde_json::from_str(kind.schema()).expect("a committed schema is JSON");
    jsonschema::draft7::options().build(&schema).expect("a committed schema is a schema")
}

/// The schemas as the types of this program say them, for `bascule schema --write`.
pub fn generated() -> [(Kind, String); 4] {
    Kind::ALL.map(|kind| (kind, generate(kind)))
}

fn generate(kind: Kind) -> String {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = match kind {
        Kind::Site => generator.into_root_schema_for::<SiteDoc>(),
        Kind::Service => generator.into_root_schema_for::<ServiceDoc>(),
        Kind::Backend => generator.into_root_schema_for::<BackendDoc>(),
        Kind::Edge => generator.into_root_schema_for::<EdgeDoc>(),
    };
    schema.insert("$id".to_owned(), format!("https://bascule.example/schemas/{kind}.json").into());
    let text = serde_json::to_string_pretty(schema.as_value()).expect("a schema serializes");
    text + "\n"
}

/// Holds a document against its kind's schema.
pub(super) fn validate(kind: Kind, file: &str, node: &Node, value: &Value) -> Vec<Diagnostic> {
    let validator = kind.validator();
    if validator.is_valid(value) {
        return Vec::new();
    }
    validator.iter_errors(value).flat_map(|error| explain(kind, file, node, &error)).collect()
}

/// One error of the validator in words for people. An error about several keys becomes one diagnostic for each.
fn explain(kind: Kind, file: &str, node: &Node, error: &jsonschema::ValidationError<'_>) -> Vec<Diagnostic> {
    let pointer = error.instance_path().to_string();
    let key = pointer.rsplit('/').next().unwrap_or_default();
    // In a list, the key is that of the list.
    let key = if key.parse::<usize>().is_ok() { pointer.rsplit('/').nth(1).unwrap_or(key) } else { key };
    let subject = if key.is_empty() { "the document".to_owned() } else { format!("`{key}`") };
    let at = |code, message: String, hint: String| Diagnostic {
        code,
        severity: Severity::Error,
        file: file.to_owned(),
        place: Some(node.place_of(&pointer, Part::Value)),
        message,
        hint: Some(hint),
        related: Vec::new(),
    };
    let found = shown(error.instance());
    let one = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            return unexpected.iter().map(|name| unknown_key(kind, file, node, &pointer, name)).collect();
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let owner = if key.is_empty() { format!("this {kind}") } else { subject };
            at(codes::MISSING_KEY, format!("{owner} has no `{name}`"), format!("add `{name}:`"))
        }
        ValidationErrorKind::Type { kind: wanted } => {
            let wanted = type_words(wanted);
            let hint = if wanted.contains("text") && error.instance().is_number() {
                format!("quote it: \"{}\"", error.instance())
            } else {
                format!("write {wanted}")
            };
            at(codes::WRONG_TYPE, format!("{subject} is {found}, and not {wanted}"), hint)
        }
        ValidationErrorKind::Enum { options } => not_one_of(&at, &subject, error.instance(), options),
        // schemars writes an enum with a description for each value as alternatives with a constant each.
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            let options = constants(kind, &error.schema_path().to_string());
            not_one_of(&at, &subject, error.instance(), &options)
        }
        ValidationErrorKind::Pattern { .. } => {
            let expected = expected_words(kind, &pointer);
            let hint =
                expected.map_or_else(|| "see the schema's examples".to_owned(), |words| format!("write {words}"));
            let code = if is_placeholder(error.instance()) { codes::PLACEHOLDER } else { codes::BAD_VALUE };
            if code == codes::PLACEHOLDER {
                let hint = "remove the braces; bascule does not let Caddy expand values from the inventory".to_owned();
                at(code, format!("{subject} has a Caddy placeholder: {found}"), hint)
            } else {
                at(code, format!("{subject} is {found}, which it does not take"), hint)
            }
        }
        ValidationErrorKind::Minimum { limit } => at(
            codes::OUT_OF_RANGE,
            format!("{subject} is {found}, and at least {limit}"),
            format!("write {limit} or more"),
        ),
        ValidationErrorKind::Maximum { limit } => at(
            codes::OUT_OF_RANGE,
            format!("{subject} is {found}, and at most {limit}"),
            format!("write {limit} or less"),
        ),
        ValidationErrorKind::MinItems { limit } => at(
            codes::OUT_OF_RANGE,
            format!("{subject} has fewer than {limit} entries"),
            format!("list at least {limit}"),
        ),
        _ => at(codes::BAD_VALUE, format!("{subject}: {error}"), "see the schema".to_owned()),
    };
    vec![one]
}

fn not_one_of(
    at: &dyn Fn(&'static str, String, String) -> Diagnostic,
    subject: &str,
    instance: &Value,
    options: &Value,
) -> Diagnostic {
    let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let hint = match instance.as_str().and_then(|text| similar(text, options.iter().copied())) {
        Some(close) => format!("did you mean `{close}`? It takes {}", options.join(", ")),
        None => format!("it takes {}", options.join(", ")),
    };
    at(codes::NOT_ONE_OF, format!("{subject} is {}, which it does not take", shown(instance)), hint)
}

fn unknown_key(kind: Kind, file: &str, node: &Node, pointer: &str, name: &str) -> Diagnostic {
    let known = properties(kind, pointer);
    let hint = match similar(name, known.iter().map(String::as_str)) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    let escaped = name.replace('~', "~0").replace('/', "~1");
    let owner = pointer.rsplit('/').next().filter(|key| !key.is_empty());
    let message = match owner {
        Some(owner) => format!("`{owner}` has no key `{name}`"),
        None => format!("a {kind} has no key `{name}`"),
    };
    Diagnostic {
        code: codes::UNKNOWN_KEY,
        severity: Severity::Error,
        file: file.to_owned(),
        place: Some(node.place_of(&format!("{pointer}/{escaped}"), Part::Key)),
        message,
        hint: Some(hint),
        related: Vec::new(),
    }
}

/// The sub-schema at an instance's pointer.
fn subschema<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut schema = root;
    for token in pointer.split('/').skip(1) {
        let schema_here = object_like(schema);
        schema = match token.parse::<usize>() {
            Ok(_) => schema_here.get("items")?,
            Err(_) => schema_here.get("properties")?.get(token)?,
        };
    }
    Some(object_like(schema))
}

/// An optional value is written as alternatives of which one is null; the other one is meant.
fn object_like(schema: &Value) -> &Value {
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    alternatives.and_then(|all| all.iter().find(|one| one.get("type") != Some(&Value::from("null")))).unwrap_or(schema)
}

fn root(kind: Kind) -> &'static Value {
    static ROOTS: LazyLock<[Value; 4]> = LazyLock::new(|| {
        Kind::ALL.map(|kind| serde_json::from_str(kind.schema()).expect("a committed schema is JSON"))
    });
    &ROOTS[kind as usize]
}

fn properties(kind: Kind, pointer: &str) -> Vec<String> {
    let schema = subschema(root(kind), pointer);
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    properties.map_or_else(Vec::new, |properties| properties.keys().cloned().collect())
}

/// The constants among the alternatives that a schema path leads to.
fn constants(kind: Kind, schema_path: &str) -> Value {
    let alternatives = root(kind).pointer(schema_path).and_then(Value::as_array);
    let flat = alternatives.into_iter().flatten().flat_map(|one| match one.get("oneOf").and_then(Value::as_array) {
        Some(inner) => inner.iter().collect(),
        None => vec![one],
    });
    let constant = |one: &Value| one.get("const").cloned().or_else(|| one.get("enum")?.get(0).cloned());
    Value::Array(flat.filter_map(constant).collect())
}

/// What a key's pattern takes, in the words of its type.
fn expected_words(kind: Kind, pointer: &str) -> Option<&'static str> {
    use crate::core::model as m;
    let pattern = subschema(root(kind), pointer)?.get("pattern")?.as_str()?;
    let known = [
        (m::SiteName::PATTERN, m::SiteName::EXPECTED),
        (m::Hostname::PATTERN, m::Hostname::EXPECTED),
        (m::TimeSpan::PATTERN, m::TimeSpan::EXPECTED),
        (m::AdminAddress::PATTERN, m::AdminAddress::EXPECTED),
        (m::Listener::PATTERN, m::Listener::EXPECTED),
        (m::PathPrefix::PATTERN, m::PathPrefix::EXPECTED),
        (m::RequestPath::PATTERN, m::RequestPath::EXPECTED),
        (m::Email::PATTERN, m::Email::EXPECTED),
        (super::StatusRange::PATTERN, super::StatusRange::EXPECTED),
    ];
    let of_type = known.iter().find(|(known, _)| *known == pattern).map(|(_, words)| *words);
    of_type.or_else(|| match pointer.split('/').nth(1)? {
        "subnets" => Some("a network in CIDR form such as `10.200.1.0/24`"),
        "addr" => Some("an IP address such as `10.200.1.23`"),
        "health" => Some("a path such as `/health` or a URL at the backend's own address"),
        _ => None,
    })
}

fn is_placeholder(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(['{', '}']))
}

fn type_words(wanted: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    let word = |kind: jsonschema::JsonType| match kind {
        jsonschema::JsonType::Array => "a list",
        jsonschema::JsonType::Boolean => "true or false",
        jsonschema::JsonType::Integer => "a whole number",
        jsonschema::JsonType::Null => "nothing",
        jsonschema::JsonType::Number => "a number",
        jsonschema::JsonType::Object => "a mapping",
        jsonschema::JsonType::String => "a text",
    };
    match wanted {
        TypeKind::Single(kind) => word(*kind).to_owned(),
        TypeKind::Multiple(kinds) => {
            let words: Vec<_> = kinds.iter().filter(|kind| *kind != jsonschema::JsonType::Null).map(word).collect();
            words.join(" or ")
        }
    }
}

/// A value as it is named in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// The known word that somebody most likely meant: at most a third of its letters differ (Damerau-Levenshtein).
pub(super) fn similar<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate));
    let (distance, best) = scored.min()?;
    (distance <= word.chars().count().max(3) / 3).then_some(best)
}
