//! A Code Quality report of GitLab.

use std::fmt::Write as _;

use serde::Serialize;

use super::forge::{fingerprints, path_of, related_place};
use crate::core::model::{Diagnostic, Severity};

/// Diagnostics as a Code Quality report.
///
/// `prefix` is the inventory's folder as seen from the repository's root, such as `inventory/`.
#[expect(clippy::missing_panics_doc, reason = "text and numbers always serialize")]
pub fn gitlab(diagnostics: &[Diagnostic], prefix: &str) -> String {
    let fingerprints = fingerprints(diagnostics, prefix);
    let issue = |(diagnostic, fingerprint): (&Diagnostic, String)| IssueDto {
        description: description(diagnostic, prefix),
        check_name: diagnostic.code,
        fingerprint,
        severity: match diagnostic.severity {
            Severity::Error => "critical",
            Severity::Warning => "minor",
        },
        location: LocationDto {
            path: path_of(diagnostic, prefix),
            // A line must be there.
            lines: LinesDto { begin: diagnostic.place.map_or(1, |place| place.line) },
        },
    };
    let issues: Vec<IssueDto<'_>> = diagnostics.iter().zip(fingerprints).map(issue).collect();
    let mut text = serde_json::to_string_pretty(&issues).expect("a report is text and numbers");
    text.push('\n');
    text
}

fn description(diagnostic: &Diagnostic, prefix: &str) -> String {
    let mut text = diagnostic.message.clone();
    for related in &diagnostic.related {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({}: {})", related_place(&related.file, related.place, prefix), related.message);
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(text, ": {hint}");
    }
    text
}

#[derive(Debug, Serialize)]
struct IssueDto<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: LocationDto,
}

#[derive(Debug, Serialize)]
struct LocationDto {
    path: String,
    lines: LinesDto,
}

#[derive(Debug, Serialize)]
struct LinesDto {
    begin: usize,
}
