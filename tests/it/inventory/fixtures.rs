use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bascule::core::inventory::CODES;
use bascule::core::model::{Diagnostic, Severity};

use super::{files_of, load_files};

/// Each invalid inventory, named for its defect, gives exactly the diagnostics in its `expected.txt`.
#[test]
fn invalid_inventories_give_exactly_their_diagnostics() {
    let mut failures = String::new();
    let cases = cases("invalid");
    for case in &cases {
        let loaded = load_files(&files_of(case));
        let actual = written(&loaded.diagnostics);
        if !is_expected(case, &actual) {
            let _ = writeln!(failures, "--- {}\n{actual}", case.display());
        }
        let has_error = loaded.diagnostics.iter().any(|it| it.severity == Severity::Error);
        assert_eq!(loaded.desired.is_none(), has_error, "{}", case.display());
        assert!(!loaded.diagnostics.is_empty(), "{} has no defect", case.display());
    }
    assert!(
        failures.is_empty(),
        "these differ from their expected.txt; where the new text is right, run the test with BASCULE_UPDATE=1\n{failures}"
    );
    assert!(cases.len() >= 45, "only {} invalid inventories ran", cases.len());
}

/// Each valid inventory resolves, with no more than the warnings in its `expected.txt`, to the state in its snapshot.
#[test]
fn valid_inventories_resolve() {
    let cases = cases("valid");
    for case in &cases {
        let loaded = load_files(&files_of(case));
        assert_eq!(written(&loaded.diagnostics), "", "{}", case.display());
        let desired = loaded.desired.expect("no error, so there is desired state");
        let name = case.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
        insta::with_settings!({ snapshot_path => case, prepend_module_to_snapshot => false }, {
            insta::assert_debug_snapshot!(name, desired);
        });
    }
    assert!(cases.len() >= 8, "only {} valid inventories ran", cases.len());
}

/// The table of codes is exactly what can be met.
#[test]
fn every_code_has_a_fixture_and_a_meaning() {
    let mut met = BTreeSet::new();
    for case in cases("invalid") {
        met.extend(load_files(&files_of(&case)).diagnostics.into_iter().map(|it| it.code));
    }
    let listed: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert!(listed.is_sorted(), "the codes are in alphabetical order");
    let listed: BTreeSet<&str> = listed.into_iter().collect();
    assert_eq!(listed.len(), CODES.len(), "a code is listed once");
    let unlisted: Vec<_> = met.difference(&listed).collect();
    let unmet: Vec<_> = listed.difference(&met).collect();
    assert!(unlisted.is_empty() && unmet.is_empty(), "not in CODES: {unlisted:?}; without a fixture: {unmet:?}");
}

/// Every cure is said.
#[test]
fn every_diagnostic_has_a_hint() {
    for case in cases("invalid") {
        for diagnostic in load_files(&files_of(&case)).diagnostics {
            assert!(diagnostic.hint.is_some_and(|hint| !hint.is_empty()), "{}: {}", case.display(), diagnostic.code);
        }
    }
}

fn cases(class: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/inventory").join(class);
    let entries = std::fs::read_dir(&folder).expect("the fixtures are there");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    cases
}

/// One line a diagnostic, its cure and its other places indented below.
fn written(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let _ = writeln!(text, "{diagnostic}");
        if let Some(hint) = &diagnostic.hint {
            let _ = writeln!(text, "    help: {hint}");
        }
        for related in &diagnostic.related {
            let (line, column) = (related.place.line, related.place.column);
            let _ = writeln!(text, "    {}:{line}:{column}: {}", related.file, related.message);
        }
    }
    text
}

fn is_expected(case: &Path, actual: &str) -> bool {
    let path = case.join("expected.txt");
    if std::env::var_os("BASCULE_UPDATE").is_some() {
        std::fs::write(&path, actual).expect("a fixture can be written");
    }
    std::fs::read_to_string(&path).is_ok_and(|expected| expected == actual)
}
