//! Diagnostics for people and for machines. Pure: text in, text out.

mod forge;
mod github;
mod gitlab;
mod sarif;
mod snippet;

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Group, Level, Origin, Renderer, normalize_untrusted_str};
use serde::Serialize;

pub use self::github::github;
pub use self::gitlab::gitlab;
pub use self::sarif::sarif;
use self::snippet::snippets;
use crate::core::model::{Diagnostic, FileSet, Severity, counted};

/// Whether text is coloured with terminal escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Characters alone.
    Plain,
    /// With colours.
    Coloured,
}

/// Diagnostics with the lines they speak of, other places and cures, and a last line that counts them.
///
/// `prefix` is put before every path, such as `inventory/`.
pub fn text(diagnostics: &[Diagnostic], files: &FileSet, prefix: &str, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, files, prefix)]));
        text.push_str("\n\n");
    }
    text.push_str(&summary(diagnostics, files.len()));
    text.push('\n');
    if let Some(first) = diagnostics.first() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "for more on a code: bascule explain {}", first.code);
    }
    text
}

/// `2 errors, 1 warning in 14 files`
pub fn summary(diagnostics: &[Diagnostic], files: usize) -> String {
    let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let found = match (errors, warnings) {
        (0, 0) => "no errors and no warnings".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        (_, _) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    format!("{found} in {}", counted(files, "file"))
}

/// Diagnostics as a JSON array, for other programs.
#[expect(clippy::missing_panics_doc, reason = "text and numbers always serialize")]
pub fn json(diagnostics: &[Diagnostic], prefix: &str) -> String {
    let dtos: Vec<DiagnosticDto<'_>> = diagnostics.iter().map(|it| DiagnosticDto::new(it, prefix)).collect();
    let mut text = serde_json::to_string_pretty(&dtos).expect("diagnostics are text and numbers");
    text.push('\n');
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, files: &FileSet, prefix: &str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group =
        level.primary_title(&diagnostic.message).id(diagnostic.code).elements(snippets(diagnostic, files, prefix));
    if diagnostic.place.is_none() && !diagnostic.file.is_empty() {
        group = group.element(Origin::path(format!("{prefix}{}", diagnostic.file)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
    }
    group
}

/// A diagnostic on the wire. Absent things are `null`, so that every object has the same keys.
#[derive(Debug, Serialize)]
struct DiagnosticDto<'a> {
    code: &'a str,
    severity: Severity,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
    related: Vec<RelatedDto<'a>>,
}

#[derive(Debug, Serialize)]
struct RelatedDto<'a> {
    file: String,
    line: usize,
    column: usize,
    message: &'a str,
}

impl<'a> DiagnosticDto<'a> {
    fn new(diagnostic: &'a Diagnostic, prefix: &str) -> Self {
        let Diagnostic { code, severity, file, place, message, hint, related } = diagnostic;
        let related = related.iter().map(|it| RelatedDto {
            file: format!("{prefix}{}", it.file),
            line: it.place.line,
            column: it.place.column,
            message: &it.message,
        });
        Self {
            code,
            severity: *severity,
            file: (!file.is_empty()).then(|| format!("{prefix}{file}")),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message,
            hint: hint.as_deref(),
            related: related.collect(),
        }
    }
}
