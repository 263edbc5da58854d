//! The JSON schemas: made from the document types, committed under `schemas/`, embedded, and what every document is held
//! against. Editor, CI and daemon read the same bytes.

mod explain;
mod texts;

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
use super::{Desired, Kind};

pub(super) use self::explain::{Flaw, flaws};

/// Makes the schema of every kind from the document types, as the text of `schemas/KIND.json`.
pub fn schemas() -> [(Kind, String); 4] {
    Kind::ALL.map(|kind| (kind, text(&generated(kind))))
}

/// The schemas for the editor of one repository: where a site or a service is named, its own names are the examples, which
/// editors offer. They take what [`schemas`] take, and refuse nothing else: a name that is not declared yet is `check`'s affair.
pub fn schemas_for(desired: &Desired) -> [(Kind, String); 4] {
    let sites: Vec<_> = desired.sites.keys().map(ToString::to_string).collect();
    let services: Vec<_> = desired.services.keys().map(ToString::to_string).collect();
    Kind::ALL.map(|kind| {
        let places: &[(&str, &[String])] = match kind {
            Kind::Site | Kind::Edge => &[],
            Kind::Service => &[("/properties/routing/properties/sites/items/examples", &sites)],
            Kind::Backend => &[("/properties/site/examples", &sites), ("/properties/service/examples", &services)],
        };
        let mut schema = generated(kind);
        for (place, names) in places.iter().filter(|(_, names)| !names.is_empty()) {
            offer(&mut schema, place, names);
        }
        (kind, text(&schema))
    })
}

fn offer(schema: &mut Schema, place: &str, names: &[String]) {
    let examples = schema.pointer_mut(place).expect("names have an example in the document types");
    *examples = Value::from(names.to_vec());
}

/// The committed schema of a kind, as it was when this program was built.
pub const fn embedded(kind: Kind) -> &'static str {
    match kind {
        Kind::Site => include_str!("../../../schemas/site.json"),
        Kind::Service => include_str!("../../../schemas/service.json"),
        Kind::Backend => include_str!("../../../schemas/backend.json"),
        Kind::Edge => include_str!("../../../schemas/edge.json"),
    }
}

fn generated(kind: Kind) -> Schema {
    match kind {
        Kind::Site => generate::<SiteDoc>(kind),
        Kind::Service => generate::<ServiceDoc>(kind),
        Kind::Backend => generate::<BackendDoc>(kind),
        Kind::Edge => generate::<EdgeDoc>(kind),
    }
}

fn generate<T: JsonSchema>(kind: Kind) -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    RecursiveTransform(refuse_null).transform(&mut schema);
    RecursiveTransform(join_lines).transform(&mut schema);
    RecursiveTransform(list_choices).transform(&mut schema);
    schema.insert("$id".to_owned(), format!("https://bascule.example/schemas/{kind}.json").into());
    schema
}

fn text(schema: &Schema) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is a JSON object with text keys");
    text.push('\n');
    text
}

/// A key without a value is more often a sentence not finished than a wish for the default: no schema takes `null`,
/// though the types' options would.
fn refuse_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.ensure_object().entry(key).or_insert(value);
            }
        }
    }
}

/// Doc comments break lines where the source does; an editor's hover wants paragraphs.
fn join_lines(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
}

/// Choices as one list with their meanings beside it, and not as schemas of their own. Of those, editors that speak
/// yaml-language-server show the meaning of the one that was chosen in place of the key's, and complete the key without its
/// colon.
fn list_choices(schema: &mut Schema) {
    let Some(Value::Array(choices)) = schema.get("oneOf") else { return };
    let part = |name: &str| choices.iter().map(|choice| choice.get(name).cloned()).collect::<Option<Vec<Value>>>();
    let (Some(values), Some(meanings)) = (part("const"), part("description")) else { return };
    schema.remove("oneOf");
    schema.insert("enum".to_owned(), values.into());
    schema.insert("enumDescriptions".to_owned(), meanings.into());
}

/// A schema ready for use.
pub(super) struct Compiled {
    json: Value,
    validator: Validator,
}

impl Compiled {
    /// The embedded schema of a kind, compiled once.
    pub(super) fn of(kind: Kind) -> &'static Self {
        static ALL: LazyLock<[Compiled; 4]> = LazyLock::new(|| Kind::ALL.map(Compiled::new));
        &ALL[kind as usize]
    }

    /// True for documents that the schema takes.
    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    fn new(kind: Kind) -> Self {
        let json: Value = serde_json::from_str(embedded(kind)).expect("the committed schemas are JSON");
        let validator = jsonschema::options()
            .with_draft(Draft::Draft7)
            .build(&json)
            .expect("the committed schemas are draft-07 schemas");
        Self { json, validator }
    }
}

/// What the check of texts says of a document, for tests.
#[cfg(test)]
pub(super) fn text_flaws(schema: &Compiled, value: &Value) -> Vec<Flaw> {
    texts::check(&schema.json, value)
}

#[cfg(test)]
pub(super) use self::texts::all as patterns;
