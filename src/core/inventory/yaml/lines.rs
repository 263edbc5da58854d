use std::cell::Cell;

use saphyr_parser::{Marker, Span};

use crate::core::model::Place;

/// Where the lines of a text begin.
///
/// The parser's own offsets count bytes after some comments and characters elsewhere; its line and column numbers can be
/// relied on, so offsets are found from those.
#[derive(Debug)]
pub(in crate::core::inventory) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    is_ascii: bool,
    walked: Cell<Walked>,
}

impl<'t> Lines<'t> {
    /// Finds the lines of `text`. A line ends at LF, CR LF or CR alone (YAML 1.2.2, section 5.4).
    pub(in crate::core::inventory) fn of(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends_line =
            |&(at, byte): &(usize, &u8)| *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let ends = bytes.iter().enumerate().filter(ends_line).map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
            is_ascii: text.is_ascii(),
            walked: Cell::default(),
        }
    }

    /// The place of a range of parser positions.
    pub(in crate::core::inventory) fn place(&self, span: Span) -> Place {
        let (line, column, start) = self.position(span.start);
        let (_, _, end) = self.position(span.end);
        Place { line, column, start, end: end.max(start) }
    }

    /// The place of one parser position.
    pub(super) fn point(&self, at: &Marker) -> Place {
        self.place(Span::empty(*at))
    }

    /// The place past the last character.
    pub(in crate::core::inventory) fn end(&self) -> Place {
        let (line, offset) = (self.starts.len(), self.text.len());
        let column = self.starts.last().map_or(0, |start| self.text[*start..].chars().count()) + 1;
        Place { line, column, start: offset, end: offset }
    }

    /// The first tab in the white space that a line begins with.
    pub(super) fn tab_in_indent(&self, line: usize) -> Option<Place> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let text = &self.text[start..];
        let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        let tab = indent.find('\t')?;
        Some(Place { line, column: tab + 1, start: start + tab, end: start + tab + 1 })
    }

    /// Line and column from 1, and the offset in bytes, of a position that may lie past the end of its line or text.
    fn position(&self, at: Marker) -> (usize, usize, usize) {
        let line = at.line().clamp(1, self.starts.len());
        let start = self.starts[line - 1];
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        let text = &self.text[start..end];
        let (column, within) = if self.is_ascii {
            let column = at.col().min(text.len());
            (column, column)
        } else {
            self.walk(line, text, at.col())
        };
        (line, column + 1, start + within)
    }

    /// The column, at most the length of the line, and its offset in the line. Walks from where the last walk ended:
    /// events come nearly in order, and a line may have a million characters.
    fn walk(&self, line: usize, text: &str, wanted: usize) -> (usize, usize) {
        let last = self.walked.get();
        let (mut column, mut offset) = if last.line == line { (last.column, last.offset) } else { (0, 0) };
        if column <= wanted {
            for character in text[offset..].chars().take(wanted - column) {
                column += 1;
                offset += character.len_utf8();
            }
        } else {
            for character in text[..offset].chars().rev().take(column - wanted) {
                column -= 1;
                offset -= character.len_utf8();
            }
        }
        self.walked.set(Walked { line, column, offset });
        (column, offset)
    }
}

/// Where a value in quotes or a closing bracket that begins at `start` really ends. For the parser, the white space and the
/// comment behind it belong to it.
pub(super) fn tight_end(text: &str, start: usize, end: usize) -> usize {
    let inner = &text.as_bytes()[start..end];
    let length = match inner.first() {
        Some(b']' | b'}') => Some(1),
        Some(quote @ (b'"' | b'\'')) => quoted_length(inner, *quote),
        _ => None,
    };
    length.map_or(end, |length| start + length)
}

fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += match *byte {
            b'\\' if quote == b'"' => 2,
            // Two in a row stand for one.
            b'\'' if quote == b'\'' && text.get(at + 1) == Some(&quote) => 2,
            byte if byte == quote => return Some(at + 1),
            _ => 1,
        };
    }
    None
}

/// Where a walk along a line ended.
#[derive(Debug, Clone, Copy, Default)]
struct Walked {
    line: usize,
    column: usize,
    offset: usize,
}
