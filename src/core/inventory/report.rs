//! Diagnostics for people and for programs.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::Paint;
use crate::core::model::{Diagnostic, FileSet, Place, Severity};

/// Shows diagnostics with the lines they are about, and ends with a line that counts them. `prefix` is put before file
/// names: the inventory's folder with a slash.
pub fn text(diagnostics: &[Diagnostic], files: &FileSet, prefix: &str, paint: Paint) -> String {
    let renderer = match paint {
        Paint::Plain => Renderer::plain(),
        Paint::Colour => Renderer::styled(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&groups(diagnostic, files, prefix)));
        out.push_str("\n\n");
    }
    out.push_str(&summary(diagnostics, files));
    out.push('\n');
    out
}

/// The diagnostics as a JSON array.
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    json!(diagnostics)
}

fn summary(diagnostics: &[Diagnostic], files: &FileSet) -> String {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let files = number(files.len(), "file");
    match (errors, warnings) {
        (0, 0) => format!("no faults in {files}"),
        (0, warnings) => format!("{} in {files}", number(warnings, "warning")),
        (errors, 0) => format!("{} in {files}", number(errors, "error")),
        (errors, warnings) => format!("{}, {} in {files}", number(errors, "error"), number(warnings, "warning")),
    }
}

fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn groups<'a>(diagnostic: &'a Diagnostic, files: &'a FileSet, prefix: &str) -> Vec<Group<'a>> {
    let Diagnostic { code, severity, file, place, message, hint, related } = diagnostic;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(message.as_str()).id(*code);
    let mut group = Group::with_title(title);
    if !file.is_empty() {
        group = group.element(shown(files, prefix, file, *place, AnnotationKind::Primary, None));
    }
    for other in related {
        let label = Some(other.message.as_str());
        group = group.element(shown(files, prefix, &other.file, Some(other.place), AnnotationKind::Context, label));
    }
    if let Some(hint) = hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    vec![group]
}

/// The lines that a place is in, or only where it is, when the file cannot be shown.
fn shown<'a>(
    files: &'a FileSet,
    prefix: &str,
    file: &str,
    place: Option<Place>,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Element<'a> {
    let path = format!("{prefix}{file}");
    let source = files.get(file).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match (source, place) {
        (Some(source), Some(place)) => {
            let start = place.start.min(source.len());
            // One line is enough to show where: a mapping is underlined where it begins.
            let line_end = source[start..].find('\n').map_or(source.len(), |length| start + length);
            let end = place.end.clamp(start, line_end);
            let annotation = match label {
                Some(label) => kind.span(start..end).label(label),
                None => kind.span(start..end),
            };
            Snippet::source(source).path(path).annotation(annotation).into()
        }
        (_, Some(place)) => Origin::path(path).line(place.line).char_column(place.column).into(),
        (_, None) => Origin::path(path).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::inventory::load;
    use crate::core::model::Revision;

    #[test]
    fn a_fault_shows_its_line_its_relative_and_its_cure() {
        let files: FileSet = [
            ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n"),
            ("services/api.yaml", "name: api\ndomains: [api.acecinema.fr]\n"),
            ("backends/a.yaml", "service: api\nname: a\nsite: dijno\naddr: 10.200.1.23\nport: 8080\n"),
        ]
        .into_iter()
        .map(|(path, text)| (path, text.as_bytes()))
        .collect();
        let loaded = load(&files, Revision::new("r"));
        let shown = text(&loaded.diagnostics, &files, "inventory/", Paint::Plain);
        insta::assert_snapshot!(shown, @r"
        error[unknown-site]: no site is named `dijno`
         --> inventory/backends/a.yaml:3:7
          |
        3 | site: dijno
          |       ^^^^^
          |
          = help: did you mean `dijon`?

        1 error in 3 files
        ");
    }
}
