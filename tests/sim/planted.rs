//! The planted bugs are patches that stop fitting when the code moves on: said here, and not by the next who plants them.

use std::path::{Path, PathBuf};

/// A file as a patch changes it: lines as they stand before, hunk by hunk.
struct Change {
    path: String,
    before: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/planted")
}

fn changes(patch: &str) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for line in patch.lines() {
        let newest = changes.last_mut();
        match (line.strip_prefix("--- "), newest) {
            (Some(path), _) => changes.push(Change { path: path.to_owned(), before: Vec::new() }),
            (None, Some(change)) if line.starts_with("@@ ") => change.before.push(String::new()),
            (None, Some(Change { before, .. })) => {
                if let (Some(kept), Some(hunk)) = (line.strip_prefix([' ', '-']), before.last_mut()) {
                    hunk.push_str(kept);
                    hunk.push('\n');
                }
            }
            (None, None) => {}
        }
    }
    changes
}

#[test]
fn every_planted_bug_fits_the_code_and_is_listed() {
    let list = include_str!("main.rs");
    let mut planted = 0;
    for entry in std::fs::read_dir(folder()).expect("a folder of patches") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        planted += 1;
        let name = path.file_stem().expect("a name").to_str().expect("a UTF-8 name");
        assert!(list.contains(&format!("//! | {name} |")), "tests/sim/main.rs does not list {name}");
        let changes = changes(&std::fs::read_to_string(&path).expect("a patch"));
        assert!(changes.iter().any(|change| !change.before.is_empty()), "{name} changes nothing");
        for Change { path, before } in changes {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
            let text = std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{name}: {path}: {error}"));
            for hunk in before {
                assert!(text.contains(&hunk), "{name} no longer fits {path}, plant it anew; it looks for\n{hunk}");
            }
        }
    }
    assert!(planted >= 10, "only {planted} planted bugs");
}
