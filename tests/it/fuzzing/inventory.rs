//! The way of YAML: files → parse → schema → check → resolve → plan → render, and the one style of each file.

use bascule::core::caddy::{Pool, render};
use bascule::core::inventory::report::{self, Style};
use bascule::core::inventory::{Unformatted, format, load};
use bascule::core::model::{FileSet, Revision};
use bascule::core::routing::{Inputs, plan};

/// What stands before the path of a file, at the beginning of a line.
const FILE: &[u8] = b"=== ";

/// Takes bytes as files: each begins with a line `=== backends/a.yaml`. What stands before the first is a service.
pub(crate) fn run(bytes: &[u8]) {
    let files = files(bytes);
    let loaded = load(&files, Revision::new("fuzz"));
    let _ = report::text(&loaded.diagnostics, &files, "inventory/", Style::Plain);
    if let Some(desired) = &loaded.desired {
        let planned = plan(&Inputs::declared(desired));
        for edge in desired.edges.values() {
            let rendered = render(&planned.effective, edge, &Pool::strict());
            assert!(rendered.config().is_object(), "an edge's configuration is an object");
        }
    }
    for (path, bytes) in files.iter() {
        if let Ok(text) = std::str::from_utf8(bytes) {
            styled(path, text);
        }
    }
}

/// What has the one style keeps it.
fn styled(path: &str, text: &str) {
    match format(text) {
        Ok(once) => assert_eq!(format(&once).as_deref(), Ok(once.as_str()), "{path}: a second time differs"),
        Err(Unformatted::Faulty) => {}
        Err(Unformatted::Unsure) => panic!("{path}: what was written says something else"),
    }
}

fn files(bytes: &[u8]) -> FileSet {
    let mut files: Vec<(String, Vec<u8>)> = vec![("services/first.yaml".to_owned(), Vec::new())];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(FILE) {
            Some(path) => files.push((String::from_utf8_lossy(path).trim_end().to_owned(), Vec::new())),
            None => files.last_mut().expect("there is a first").1.extend_from_slice(line),
        }
    }
    files.into_iter().filter(|(path, bytes)| FileSet::is_inventory_file(path) && !bytes.is_empty()).collect()
}
