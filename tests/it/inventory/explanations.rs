//! Each code's page: its example has that fault and no other, its message is what check says, its cure cures.

use std::path::{Path, PathBuf};

use bascule::core::inventory::report::{self, Style};
use bascule::core::inventory::{CODES, page};
use bascule::core::model::{Diagnostic, FileSet};

use super::{files_of, load_files};

/// Codes whose example cannot be printed: bytes that are not text, text that cannot be seen or must be the very first, or too
/// much of it. Their fixtures are made otherwise.
const WITHOUT_EXAMPLE: [&str; 5] = ["byte-order-mark", "lfs-pointer", "not-utf8", "size-limit", "too-many-faults"];

/// The inventory that all examples change.
const BASE: &str = "tests/fixtures/inventory/valid/minimal";

const MESSAGE: &str = "\n## Message\n\n```text\n";

#[test]
fn every_page_says_what_its_code_means_and_how_to_cure_it() {
    for (code, meaning) in CODES {
        let text = page(code).expect("a code has a page");
        assert!(text.starts_with(&format!("# {code}\n\n{meaning}\n\n")), "docs/codes/{code}.md begins otherwise");
        let (why, cure) = text.split_once("\n## Cure\n\n").unwrap_or_else(|| panic!("docs/codes/{code}.md: no cure"));
        assert!(why.len() > 200, "docs/codes/{code}.md says too little");
        assert!(!cure.trim().is_empty(), "docs/codes/{code}.md: no cure");
        let has_example = text.contains("\n## Example\n\n") && text.contains(MESSAGE);
        assert_eq!(has_example, !WITHOUT_EXAMPLE.contains(code), "docs/codes/{code}.md: example");
    }
    let folder = root().join("docs/codes");
    assert_eq!(std::fs::read_dir(folder).expect("docs/codes").count(), CODES.len(), "pages of codes that are gone");
}

#[test]
fn every_example_has_its_fault_and_every_cure_cures() {
    let mut differing = Vec::new();
    for (code, _) in CODES.iter().filter(|(code, _)| !WITHOUT_EXAMPLE.contains(code)) {
        // As it is now, not as it was when this was compiled.
        let path = root().join("docs/codes").join(format!("{code}.md"));
        let text = std::fs::read_to_string(&path).expect("a page");
        let (example, rest) = text.split_once(MESSAGE).expect("a message");
        let (message, cure) = rest.split_once("```\n").expect("the message ends");
        let files = with(example);
        let diagnostics = load_files(&files).diagnostics;
        let others: Vec<&str> = diagnostics.iter().map(|it| it.code).filter(|found| found != code).collect();
        assert!(!diagnostics.is_empty() && others.is_empty(), "{code}: the example has {others:?}");
        let said = message_of(&diagnostics, &files);
        if std::env::var_os("BASCULE_UPDATE").is_some() {
            std::fs::write(&path, format!("{example}{MESSAGE}{said}```\n{cure}")).expect("docs/ can be written");
        } else if said != message {
            differing.push(format!("{code}:\n{said}"));
        }
        if cure.contains("```yaml") {
            let left = load_files(&with(cure)).diagnostics;
            assert_eq!(left, [], "{code}: the cure leaves faults");
        }
    }
    assert!(
        differing.is_empty(),
        "check says something else than docs/codes/ says; mend it with `make docs`\n{}",
        differing.join("\n")
    );
}

/// The sound inventory, with the files of a part of a page in place of its own.
fn with(part: &str) -> FileSet {
    let base = files_of(&root().join(BASE));
    let is_gone = |path: &str| part.contains(&format!("`{path}` is not there."));
    let mut files: FileSet =
        base.iter().filter(|(path, _)| !is_gone(path)).map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    for fence in part.split("```yaml\n").skip(1) {
        let (body, _) = fence.split_once("```\n").expect("a fence ends");
        let path = body.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a fence begins with its file");
        files.insert(path, body.as_bytes().to_vec());
    }
    files
}

fn message_of(diagnostics: &[Diagnostic], files: &FileSet) -> String {
    let text = report::text(diagnostics, files, "", Style::Plain);
    let (faults, _) = text.rsplit_once("\n\n").expect("a last line counts the faults");
    format!("{faults}\n")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
