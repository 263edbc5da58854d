//! What all reports for forges share: paths, the ends of places, and fingerprints.

use std::collections::BTreeMap;

use crate::core::model::{Diagnostic, Digest, FileSet, Place};

/// The path of a fault's file from the repository's root. A fault of the inventory as a whole is at its folder: forges
/// show nothing that is nowhere.
pub(super) fn path_of(diagnostic: &Diagnostic, prefix: &str) -> String {
    match (diagnostic.file.as_str(), prefix.trim_end_matches('/')) {
        ("", "") => ".".to_owned(),
        ("", folder) => folder.to_owned(),
        (file, _) => format!("{prefix}{file}"),
    }
}

/// Last line and the column past the last character of a place, both from 1; none where there is nothing to underline.
pub(super) fn end_of(place: Place, file: &str, files: &FileSet) -> Option<(usize, usize)> {
    let bytes = files.get(file)?.get(place.start..place.end)?;
    let text = String::from_utf8_lossy(bytes);
    if text.is_empty() {
        return None;
    }
    Some(match text.rsplit_once('\n') {
        Some((before, last)) => {
            (place.line + before.matches('\n').count() + 1, last.trim_end_matches('\r').chars().count() + 1)
        }
        None => (place.line, place.column + text.chars().count()),
    })
}

/// A fingerprint for each fault, all different. Neither the line nor other faults are part of it, so that a forge knows a
/// fault again when something is written above it; of equal faults in one file, the number is.
pub(super) fn fingerprints(diagnostics: &[Diagnostic], prefix: &str) -> Vec<String> {
    let mut seen: BTreeMap<(String, &str, &str), usize> = BTreeMap::new();
    let fingerprint = |diagnostic: &'_ Diagnostic, number: usize, path: &str| {
        let Diagnostic { code, message, .. } = diagnostic;
        Digest::of(format!("{code}\0{path}\0{message}\0{number}").as_bytes()).as_str().to_owned()
    };
    let mut all = Vec::with_capacity(diagnostics.len());
    for diagnostic in diagnostics {
        let path = path_of(diagnostic, prefix);
        let number = seen.entry((path.clone(), diagnostic.code, &diagnostic.message)).or_default();
        all.push(fingerprint(diagnostic, *number, &path));
        *number += 1;
    }
    all
}

/// Where another place is: `inventory/backends/a.yaml:4:7`.
pub(super) fn related_place(file: &str, place: Place, prefix: &str) -> String {
    format!("{prefix}{file}:{}:{}", place.line, place.column)
}
