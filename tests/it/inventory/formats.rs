//! What each output format makes of the same faults: a golden corpus, and what the formats promise.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use bascule::core::inventory::report::{self, Style};
use bascule::core::model::{Diagnostic, FileSet, Severity};
use serde_json::Value;

use super::{files_of, load_files};

/// The inventories of the corpus, each with the folder that it is in.
fn corpus() -> Vec<(&'static str, &'static str, FileSet)> {
    let minimal = || files_of(&root().join("tests/fixtures/inventory/valid/minimal"));
    let with = |files: &[(&str, &str)]| {
        let mut all = minimal();
        for (path, text) in files {
            all.insert(*path, text.as_bytes().to_vec());
        }
        all
    };
    let (mut many, mut services, mut backends) = (String::new(), String::new(), String::new());
    for at in 1..=14 {
        let _ = write!(many, "name: {at}\nsubnets: [10.9.{at}.0/24]\n---\n");
    }
    // Each warns: it is at one site only.
    for at in 1..=12 {
        let _ = write!(services, "name: s{at}\ndomains: [s{at}.example]\n---\n");
        let port = 9000 + at;
        let _ = write!(backends, "name: s{at}\nservice: s{at}\nsite: dijon\naddr: 10.200.1.99\nport: {port}\n---\n");
    }
    vec![
        ("sound", "inventory/", minimal()),
        ("nothing", "deploy/inventory/", FileSet::new()),
        ("nothing_at_the_root", "", FileSet::new()),
        (
            "faulty",
            "inventory/",
            with(&[
                ("services/api.yaml", "name: api\n# été\ndomains: [é.example, acecinema.fr, {}]\n"),
                (
                    "backends/a.yaml",
                    "name: web-dijon-1\nservice: wbe\nsite: dijno\naddr: 10.200.1.23\nport: 80\nport: 81\n",
                ),
                (
                    "backends/copy.yaml",
                    "name: copy\r\nservice: web\r\nsite: dijon\r\naddr: 10.200.1.23\r\nport: 8080\r\n",
                ),
                ("edges/later.yaml", "# later\n"),
            ]),
        ),
        (
            "hostile",
            "",
            with(&[
                (
                    "services/a,b:c%2C d#é.yaml",
                    "name: \"::error::x\\r\\n::stop-commands::y\\t%0A,:\"\ndomains: [a.fr]\n",
                ),
                ("::error file=x::y/a.yaml", "a: 1\n"),
                ("##[error]x/a.yaml", "a: 1\n"),
                ("sites/escape.yaml", "name: \"\\e[31mred ##[warning]\"\nsubnets: [10.9.0.0/16]\n"),
            ]),
        ),
        (
            "many",
            "inventory/",
            with(&[("sites/many.yaml", &many), ("services/s.yaml", &services), ("backends/s.yaml", &backends)]),
        ),
    ]
}

fn diagnostics_of(files: &FileSet) -> Vec<Diagnostic> {
    load_files(files).diagnostics
}

#[test]
fn the_golden_corpus_of_every_format() {
    for (name, prefix, files) in corpus() {
        let diagnostics = diagnostics_of(&files);
        let version = concat!("\"semanticVersion\": \"", env!("CARGO_PKG_VERSION"), "\"");
        let sarif = report::sarif(&diagnostics, &files, prefix);
        assert!(sarif.contains(version), "{sarif}");
        for (format, text) in [
            ("text", report::text(&diagnostics, &files, prefix, Style::Plain)),
            ("json", report::json(&diagnostics, prefix)),
            ("github", report::github(&diagnostics, &files, prefix)),
            ("gitlab", report::gitlab(&diagnostics, prefix)),
            ("sarif", without_help(&sarif.replace(version, "\"semanticVersion\": \"VERSION\""))),
        ] {
            insta::with_settings!({ snapshot_path => "../../fixtures/formats", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(format!("{format}-{name}"), text);
            });
        }
    }
}

/// The pages of codes are long, and are tested elsewhere.
fn without_help(sarif: &str) -> String {
    let mut log: Value = serde_json::from_str(sarif).expect("JSON");
    for rule in log["runs"][0]["tool"]["driver"]["rules"].as_array_mut().expect("rules") {
        let help = rule["help"]["text"].take();
        let id = rule["id"].as_str().expect("an id");
        assert!(help.as_str().is_some_and(|help| help.starts_with(&format!("# {id}\n"))), "{help}");
        rule["help"] = "HELP".into();
    }
    serde_json::to_string_pretty(&log).expect("JSON")
}

#[test]
fn sarif_is_what_its_published_schema_says() {
    let mut judged = 0;
    let mut judge = |name: &str, files: &FileSet, prefix: &str| {
        let text = report::sarif(&diagnostics_of(files), files, prefix);
        let log: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> =
            SARIF.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        for result in log["runs"][0]["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("a small one");
            assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"], "{name}");
        }
        judged += 1;
    };
    for (name, prefix, files) in corpus() {
        judge(name, &files, prefix);
    }
    for case in invalid() {
        judge(&case.display().to_string(), &files_of(&case), "inventory/");
    }
    assert!(judged > 80, "only {judged} logs were judged");
    let mut wrong: Value = serde_json::from_str(&report::sarif(&[], &FileSet::new(), "")).expect("JSON");
    wrong["runs"][0]["results"] = serde_json::json!([{ "level": "fatal" }]);
    assert!(!SARIF.is_valid(&wrong), "the schema takes anything");
}

/// A forge knows a fault again by its fingerprint: when lines are added above it, and not by that of another fault.
#[test]
fn fingerprints_are_unique_and_outlive_moved_lines() {
    let prints = |files: &FileSet| -> Vec<Vec<String>> {
        let diagnostics = diagnostics_of(files);
        let gitlab: Value = serde_json::from_str(&report::gitlab(&diagnostics, "inventory/")).expect("JSON");
        let sarif: Value = serde_json::from_str(&report::sarif(&diagnostics, files, "inventory/")).expect("JSON");
        let texts = |values: &Value, pointer: &str| -> Vec<String> {
            let values = values.as_array().expect("an array").iter();
            values.map(|it| it.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned()).collect()
        };
        vec![
            texts(&gitlab, "/fingerprint"),
            texts(&sarif["runs"][0]["results"], "/partialFingerprints/basculeFault~1v1"),
        ]
    };
    let cases = invalid().into_iter().map(|case| (case.display().to_string(), files_of(&case)));
    let corpus = corpus().into_iter().map(|(name, _, files)| (name.to_owned(), files));
    for (name, files) in cases.chain(corpus) {
        let moved: FileSet = files
            .iter()
            .map(|(path, bytes)| {
                // What is told by its first bytes has nothing above it.
                let is_first = bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"version https://git-lfs");
                let above: &[u8] = if is_first { b"" } else { b"# one\n# two\n" };
                (path.to_owned(), [above, bytes].concat())
            })
            .collect();
        let (before, after) = (prints(&files), prints(&moved));
        assert_eq!(before, after, "{name}");
        for list in before {
            assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len(), "{name}");
        }
    }
}

#[test]
fn github_gets_no_more_annotations_than_it_shows_and_no_command_of_an_inventory() {
    for (name, prefix, files) in corpus() {
        let diagnostics = diagnostics_of(&files);
        let text = report::github(&diagnostics, &files, prefix);
        let count = |severity: Severity| diagnostics.iter().filter(|it| it.severity == severity).count();
        for (severity, command) in [(Severity::Error, "::error "), (Severity::Warning, "::warning ")] {
            let shown = text.lines().filter(|line| line.starts_with(command)).count();
            assert_eq!(shown, count(severity).min(10), "{name}\n{text}");
        }
        let first_warning = text.lines().position(|line| line.starts_with("::warning "));
        let last_error = text.lines().collect::<Vec<_>>().iter().rposition(|line| line.starts_with("::error "));
        if let (Some(warning), Some(error)) = (first_warning, last_error) {
            assert!(error < warning, "{name}: the worst first\n{text}");
        }
        for line in text.lines() {
            let is_ours = ["::error ", "::warning ", "::notice ", "::group::", "::endgroup::"];
            let is_command = line.trim_start().starts_with("::");
            assert!(!is_command || is_ours.iter().any(|ours| line.starts_with(ours)), "{name}: {line}");
            assert!(is_command || !line.contains("##["), "{name}: {line}");
            assert!(!line.chars().any(|it| it.is_control() && it != '\t'), "{name}: {line:?}");
            if is_command && line.contains(" file=") {
                let (properties, _) = line[2..].split_once("::").expect("a command has an end");
                let (_, properties) = properties.split_once(' ').expect("properties");
                for property in properties.split(',') {
                    let (key, value) = property.split_once('=').expect("a property has a value");
                    let known = ["file", "line", "endLine", "col", "endColumn", "title"];
                    assert!(known.contains(&key) && !value.contains(':'), "{name}: {line}");
                }
            }
        }
    }
}

/// The schema, from the package that ships it, wherever cargo keeps that.
static SARIF: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        // Without the packages of other platforms, which need not have been downloaded.
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|it| it["name"] == "serde-sarif").expect("a dependency of the tests");
    let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
    let text = std::fs::read(manifest.with_file_name("src").join("schema.json")).expect("the package has the schema");
    let mut schema: Value = serde_json::from_slice(&text).expect("a schema is JSON");
    assert!(schema["$id"].as_str().is_some_and(|id| id.ends_with("/sarif-schema-2.1.0.json")), "{}", schema["$id"]);
    // Of keys that are not written here, with a bracket too many that only JavaScript's regular expressions take.
    for definition in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][definition]["properties"]["language"];
        assert_eq!(language.as_object_mut().expect("a schema").remove("pattern").as_ref(), Some(&BROKEN.into()));
    }
    jsonschema::validator_for(&schema).expect("a schema")
});

const BROKEN: &str = "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$";

fn host() -> String {
    let output = Command::new(env!("CARGO")).arg("-vV").output().expect("cargo runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo says its host");
    host.to_owned()
}

fn invalid() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/fixtures/inventory/invalid")).expect("the fixtures");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
