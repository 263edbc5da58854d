use bascule::core::inventory::report::{self, Style};
use bascule::core::model::FileSet;

use super::load_files;

/// An inventory with a fault of each shape: with a place, with another place near by and in another file, with only a
/// file, with nothing at all under a long line, in text that is not ASCII, and in bytes that are not text.
fn faulty() -> FileSet {
    [
        ("sites/dijon.yaml", &b"name: dijon\nsubnets: [10.200.1.0/24]\n"[..]),
        ("services/web.yaml", "name: web\n# été\ndomains: [é.example, acecinema.fr, {}]\n".as_bytes()),
        ("backends/a.yaml", b"name: a\nservice: web\nsite: dijno\naddr: 10.200.1.1\nport: 80\nport: 81\n"),
        ("backends/b.yaml", b"name: b\r\nservice: web\r\nsite: dijon\r\naddr: 10.200.1.1\r\nport: 80\r\n"),
        ("backends/c.yaml", b"name: c\n# caf\xe9\n"),
        ("edges/later.yaml", b"# \x1b[31mred\n"),
    ]
    .into_iter()
    .collect()
}

#[test]
fn text_shows_lines_places_and_cures() {
    let files = faulty();
    let loaded = load_files(&files);
    insta::assert_snapshot!(report::text(&loaded.diagnostics, &files, "inventory/", Style::Plain));
}

#[test]
fn colours_only_when_asked_for() {
    let mut files = faulty();
    files.insert("services/evil.yaml", &b"name: \"\\e[31mred\"\ndomains: [\x1b[31m]\n"[..]);
    files.insert("services/hint.yaml", &b"name: hint\ndomains: \"\\e[31mred\"\n"[..]);
    let loaded = load_files(&files);
    let plain = report::text(&loaded.diagnostics, &files, "", Style::Plain);
    assert!(!plain.contains('\u{1b}'), "an inventory can send escapes to a terminal:\n{plain:?}");
    let coloured = report::text(&loaded.diagnostics, &files, "", Style::Coloured);
    assert!(coloured.contains("\u{1b}["));
    assert!(!coloured.contains("\u{1b}[31mred"), "an inventory can send escapes to a terminal:\n{coloured:?}");
}

#[test]
fn json_has_the_same_keys_always() {
    let files = faulty();
    let loaded = load_files(&files);
    let json = report::json(&loaded.diagnostics, "inventory/");
    insta::assert_snapshot!(json);
    let values: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    assert_eq!(values.len(), loaded.diagnostics.len());
    for value in values {
        let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["code", "column", "file", "hint", "line", "message", "related", "severity"]);
    }
}

#[test]
fn the_summary_counts() {
    let files: FileSet = [("sites/a.yaml", &b"name: a\nsubnets: [10.0.0.0/8]\n"[..])].into_iter().collect();
    let loaded = load_files(&files);
    assert_eq!(report::summary(&loaded.diagnostics, files.len()), "no errors and no warnings in 1 file");
    let loaded = load_files(&FileSet::new());
    assert_eq!(report::summary(&loaded.diagnostics, 0), "1 error in 0 files");
    let text = report::text(&loaded.diagnostics, &FileSet::new(), "inventory/", Style::Plain);
    assert!(text.starts_with("error[no-inventory]: no site, service, backend or edge is declared here\n"), "{text}");
    assert!(text.contains("= help: an inventory is YAML files"), "{text}");
}

#[test]
fn a_long_line_is_named_and_not_shown() {
    let mut files = faulty();
    let long = format!("name: long\nsubnets: [10.9.0.0/16]\ntags: [{}B]\n", "a, ".repeat(2000));
    files.insert("sites/long.yaml", long.into_bytes());
    let loaded = load_files(&files);
    let text = report::text(&loaded.diagnostics, &files, "", Style::Plain);
    assert!(text.contains("--> sites/long.yaml:3:6008"), "{text}");
    assert!(!text.contains("a, a, a"), "{text}");
}
