//! `docs/inventory.md` is rendered from the schemas and the diagnostic codes, and the documentation's links lead somewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bascule::core::inventory::{CODES, Kind, embedded, load};
use bascule::core::model::{FileSet, Revision};
use serde_json::Value;

/// Set to anything, it makes the test write the file instead of judging it.
const UPDATE: &str = "BASCULE_UPDATE";

const HEAD: &str = "\
# Inventory reference

This page is rendered from the schemas in `schemas/`; `make docs` writes it anew. `bascule init inventory` writes a
commented inventory to begin with, and [examples/](../examples) has a larger one.

The folder says the kind: `sites/`, `services/`, `backends/`, `edges/`, with as many folders inside as you like. A file is
one YAML document, or several with `---` between them. A key that is not listed here is an error. Durations are a whole
number with `ms`, `s`, `m` or `h`.
";

#[test]
fn the_inventory_reference_is_what_the_schemas_say() {
    let path = root().join("docs/inventory.md");
    let rendered = reference();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &rendered).expect("docs/ can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).expect("docs/inventory.md can be read");
    let line = (1..).zip(found.lines().zip(rendered.lines())).find(|(_, (found, rendered))| found != rendered);
    let place = line.map_or_else(
        || "its end".to_owned(),
        |(number, (_, rendered))| format!("line {number}, which should be\n{rendered}\n"),
    );
    assert!(found == rendered, "docs/inventory.md differs at {place}: mend it with `make docs`, and commit it");
}

#[test]
fn every_key_of_every_schema_is_in_the_reference() {
    // Counted in another way than the reference is rendered.
    fn keys(schema: &Value) -> usize {
        match schema {
            Value::Object(map) => {
                let own = map.get("properties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
                let below = map.iter().filter(|(key, _)| !matches!(key.as_str(), "examples" | "default"));
                own + below.map(|(_, value)| keys(value)).sum::<usize>()
            }
            Value::Array(items) => items.iter().map(keys).sum(),
            _ => 0,
        }
    }
    let declared: usize = Kind::ALL.into_iter().map(|kind| keys(&schema(kind))).sum();
    let text = reference();
    let (keys, codes) = text.split_once("\n## Diagnostics").expect("the reference has both parts");
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("| `")).count();
    assert!(declared > 30, "only {declared} keys in the schemas");
    assert_eq!(rows(keys), declared);
    assert_eq!(codes.lines().filter(|line| line.starts_with("| [`")).count(), CODES.len());
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut files = vec![root().join("README.md")];
    for folder in ["docs", "docs/codes", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder of documentation");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let mut links = 0;
    let mut broken = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let folder = file.parent().expect("a file is in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            links += 1;
            if !leads_somewhere(folder, &text, link) {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(links >= 5, "only {links} links were found");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_sample_inventory_of_the_compose_file_is_good() {
    let mut files = FileSet::new();
    for kind in Kind::ALL {
        for entry in std::fs::read_dir(root().join("inventory").join(kind.folder())).expect("a folder of the sample") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_str().expect("a UTF-8 name");
            files.insert(format!("{}/{name}", kind.folder()), std::fs::read(&path).expect("a file"));
        }
    }
    let loaded = load(&files, Revision::new("sample"));
    assert_eq!(loaded.diagnostics, []);
    let desired = loaded.desired.expect("desired state");
    // The addresses are written twice, and nothing else holds the two together.
    let compose = std::fs::read_to_string(root().join("compose.yaml")).expect("compose.yaml");
    assert_eq!(desired.backends.len(), 2);
    for backend in desired.backends.values() {
        let address = format!("ipv4_address: {}", backend.upstream().to_string().trim_end_matches(":8080"));
        assert!(compose.contains(&address), "compose.yaml has no `{address}`");
        assert!(compose.contains(backend.name.as_str()), "compose.yaml has no {}", backend.name);
    }
    for site in desired.sites.values() {
        let network = format!("subnet: {}", site.subnets.first().expect("a subnet"));
        assert!(compose.contains(&network), "compose.yaml has no `{network}`");
    }
}

fn leads_somewhere(folder: &Path, text: &str, link: &str) -> bool {
    if link.starts_with("https://") {
        return true;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { None } else { Some(folder.join(path)) };
    let heading = |text: &str| {
        let slug = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        anchor.is_empty() || text.lines().any(|line| line.starts_with('#') && slug(line) == anchor)
    };
    match target {
        None => heading(text),
        Some(path) if path.is_dir() => anchor.is_empty(),
        Some(path) => std::fs::read_to_string(path).is_ok_and(|text| heading(&text)),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn schema(kind: Kind) -> Value {
    serde_json::from_str(embedded(kind)).expect("a schema is JSON")
}

/// The whole page.
fn reference() -> String {
    let mut page = HEAD.to_owned();
    for kind in Kind::ALL {
        let schema = schema(kind);
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {kind}\n\nIn `{}/`. {}\n\n", kind.folder(), description(&schema));
        page.push_str("| key | takes | means |\n|---|---|---|\n");
        rows(&mut page, &schema, "");
    }
    page.push_str(
        "\n## Diagnostics\n\nCodes are stable: search for them, match them in scripts. Each has a page, \
                   which `bascule explain CODE` prints.\n\n",
    );
    page.push_str("| code | means |\n|---|---|\n");
    for (code, meaning) in CODES {
        let _ = writeln!(page, "| [`{code}`](codes/{code}.md) | {} |", cell(meaning));
    }
    page
}

/// The rows of an object's keys, those that must be there first, each with the keys below it.
fn rows(page: &mut String, object: &Value, prefix: &str) {
    let required: Vec<_> = object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = object["properties"].as_object() else { return };
    let (needed, others): (Vec<_>, Vec<_>) = properties.iter().partition(|(key, _)| required.contains(&key.as_str()));
    let needed = needed.into_iter().map(|pair| (pair, " (needed)"));
    for ((key, schema), mark) in needed.chain(others.into_iter().map(|pair| (pair, ""))) {
        let path = format!("{prefix}{key}");
        let _ = writeln!(page, "| `{path}`{mark} | {} | {} |", cell(&takes(schema)), cell(&meaning(schema)));
        rows(page, schema, &format!("{path}."));
        rows(page, &schema["items"], &format!("{path}[]."));
    }
}

/// What a key takes, in words, with an example where the schema has one.
fn takes(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let names: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        return format!("`{}`", names.join("` or `"));
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let word = match types[..] {
        ["array"] => return format!("list of: {}", takes(&schema["items"])),
        ["object"] => "mapping".to_owned(),
        ["boolean"] => "`true` or `false`".to_owned(),
        ["integer"] => format!("number from {} to {}", schema["minimum"], schema["maximum"]),
        ["string"] => "text".to_owned(),
        _ => types.join(" or ").replace("string", "text").replace("integer", "number"),
    };
    let examples = schema["examples"].as_array().into_iter().flatten().map(|example| match example {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    });
    let examples: Vec<_> = examples.collect();
    if examples.is_empty() || word == "mapping" { word } else { format!("{word}: {}", examples.join(", ")) }
}

/// The description, with that of each choice.
fn meaning(schema: &Value) -> String {
    let mut text = description(schema).to_owned();
    let choices = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let meanings = schema["enumDescriptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for (choice, meaning) in choices.zip(meanings) {
        let _ = write!(text, " `{choice}`: {meaning}");
    }
    text
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().expect("every schema is described")
}

/// A text as a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
