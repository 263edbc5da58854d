use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Origin, Snippet};

use crate::core::model::{Diagnostic, FileSet, Place};

/// Places at most so many lines apart are shown in one piece of their file.
const TOGETHER_LINES: usize = 8;

/// Most bytes of one piece. Past that it is one long line made by a machine, which nobody wants to see and the renderer
/// takes half a second for.
const PIECE_MAX: usize = 4096;

/// Something to underline.
struct Mark<'d> {
    file: &'d str,
    place: Place,
    label: Option<&'d str>,
}

impl Mark<'_> {
    fn is_near(&self, other: &Self) -> bool {
        self.file == other.file && self.place.line.abs_diff(other.place.line) <= TOGETHER_LINES
    }
}

/// The lines that a diagnostic speaks of, its own first. Only those are handed on: a file may have megabytes.
pub(super) fn snippets<'a>(diagnostic: &'a Diagnostic, files: &FileSet, prefix: &str) -> Vec<Element<'a>> {
    let Some(place) = diagnostic.place else { return Vec::new() };
    let mut pieces = vec![vec![Mark { file: &diagnostic.file, place, label: None }]];
    for related in &diagnostic.related {
        let mark = Mark { file: &related.file, place: related.place, label: Some(&related.message) };
        match pieces.iter_mut().find(|marks| marks[0].is_near(&mark)) {
            Some(marks) => marks.push(mark),
            None => pieces.push(vec![mark]),
        }
    }
    pieces.iter().filter_map(|marks| snippet(marks, files, prefix)).collect()
}

fn snippet<'a>(marks: &[Mark<'a>], files: &FileSet, prefix: &str) -> Option<Element<'a>> {
    let bytes: &[u8] = files.get(marks[0].file)?;
    let first = marks.iter().min_by_key(|mark| mark.place.start)?;
    let last = marks.iter().max_by_key(|mark| mark.place.start)?;
    let piece = line_start(bytes, first.place.start)..line_end(bytes, last.place.start);
    let path = format!("{prefix}{}", marks[0].file);
    if piece.len() > PIECE_MAX {
        let Place { line, column, .. } = marks[0].place;
        return Some(Origin::path(path).line(line).char_column(column).into());
    }
    // Bytes that are not UTF-8 become characters of another length, so that offsets are found again.
    let width = |range: Range<usize>| String::from_utf8_lossy(&bytes[range]).len();
    let annotation = |mark: &Mark<'a>| {
        let start = mark.place.start.clamp(piece.start, piece.end);
        let end = mark.place.end.min(line_end(bytes, start)).max(start);
        let shown_start = width(piece.start..start);
        let kind = if mark.label.is_some() { AnnotationKind::Context } else { AnnotationKind::Primary };
        kind.span(shown_start..shown_start + width(start..end)).label(mark.label)
    };
    let annotations: Vec<Annotation<'a>> = marks.iter().map(annotation).collect();
    let source = String::from_utf8_lossy(&bytes[piece.clone()]).into_owned();
    let snippet = Snippet::source(source).line_start(first.place.line).path(path);
    Some(snippet.annotations(annotations).into())
}

fn line_start(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn line_end(bytes: &[u8], offset: usize) -> usize {
    let offset = offset.min(bytes.len());
    let end = bytes[offset..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| offset + at);
    if end > offset && bytes[end - 1] == b'\r' { end - 1 } else { end }
}
