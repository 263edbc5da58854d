//! Annotations of GitHub Actions: lines of the log that begin with `::`.

use std::fmt::Write as _;

use super::forge::{end_of, path_of, related_place};
use super::summary;
use crate::core::model::{Diagnostic, FileSet, Severity, counted};

/// Most annotations of one kind that GitHub shows for a step; it drops what comes after them without a word.
const ANNOTATIONS_MAX: usize = 10;

/// Diagnostics as annotations, the worst ones first. What is more than GitHub would show stands in the log, and a notice
/// says so.
///
/// `prefix` is the inventory's folder as seen from the repository's root, such as `inventory/`.
pub fn github(diagnostics: &[Diagnostic], files: &FileSet, prefix: &str) -> String {
    let mut text = String::new();
    let mut rest: Vec<&Diagnostic> = Vec::new();
    let mut left_out = Vec::new();
    for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let mut of_kind = diagnostics.iter().filter(|it| it.severity == severity);
        for diagnostic in of_kind.by_ref().take(ANNOTATIONS_MAX) {
            text.push_str(&annotation(diagnostic, files, prefix));
        }
        let before = rest.len();
        rest.extend(of_kind);
        if rest.len() > before {
            left_out.push(counted(rest.len() - before, word));
        }
    }
    if !rest.is_empty() {
        // Writing to a String cannot fail.
        let message = format!(
            "{} more: GitHub shows {ANNOTATIONS_MAX} annotations of each kind; the others are in the log of this step",
            left_out.join(" and ")
        );
        let _ = writeln!(text, "::notice title=bascule check::{}", data(&message));
        let _ = writeln!(text, "::group::{} more", data(&left_out.join(" and ")));
        for diagnostic in rest {
            let _ = writeln!(text, "{}", log_line(diagnostic, prefix));
        }
        text.push_str("::endgroup::\n");
    }
    let _ = writeln!(text, "{}", summary(diagnostics, files.len()));
    text
}

fn annotation(diagnostic: &Diagnostic, files: &FileSet, prefix: &str) -> String {
    let Diagnostic { code, severity, file, place, message, hint, related } = diagnostic;
    let mut properties = Vec::new();
    if !file.is_empty() {
        properties.push(("file", path_of(diagnostic, prefix)));
    }
    if let Some(place) = place {
        properties.push(("line", place.line.to_string()));
        let end = end_of(*place, file, files);
        properties.extend(end.map(|(line, _)| ("endLine", line.to_string())));
        // Columns are taken only where the annotation is of one line.
        if end.is_none_or(|(line, _)| line == place.line) {
            properties.push(("col", place.column.to_string()));
            properties.extend(end.map(|(_, column)| ("endColumn", column.to_string())));
        }
    }
    properties.push(("title", (*code).to_owned()));
    let properties: Vec<String> =
        properties.into_iter().map(|(key, value)| format!("{key}={}", property(&value))).collect();
    let mut body = message.clone();
    for it in related {
        let _ = write!(body, "\n{}: {}", related_place(&it.file, it.place, prefix), it.message);
    }
    if let Some(hint) = hint {
        let _ = write!(body, "\nhelp: {hint}");
    }
    format!("::{severity} {}::{}\n", properties.join(","), data(&body))
}

/// One line for the log. It must not be taken for a command: neither `::` at its beginning nor the older `##[` anywhere.
fn log_line(diagnostic: &Diagnostic, prefix: &str) -> String {
    let Diagnostic { code, severity, file, place, message, .. } = diagnostic;
    let mut line = format!("{severity}[{code}] ");
    match place {
        Some(place) => {
            let _ = write!(line, "{}: ", related_place(file, *place, prefix));
        }
        None if !file.is_empty() => {
            let _ = write!(line, "{}: ", path_of(diagnostic, prefix));
        }
        None => {}
    }
    line.push_str(message);
    let line: String = line.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect();
    line.replace("##[", "# #[")
}

/// The message of a command, as GitHub's own toolkit escapes it, and without escapes for terminals.
fn data(text: &str) -> String {
    let is_unsafe = |it: char| it.is_control() && !matches!(it, '\r' | '\n' | '\t');
    let text: String = text.chars().map(|it| if is_unsafe(it) { '\u{fffd}' } else { it }).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
