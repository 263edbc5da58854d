use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use saphyr_parser::ScalarStyle;

use super::tree::{Item, Shape};
use crate::core::inventory::yaml::{Content, scalar};

/// What is no part of a value at its ends. Other blanks, such as a form feed, are text like any other.
const BLANKS: [char; 3] = [' ', '\t', '\n'];

/// Words that a reader of YAML 1.1, as some editors have, takes for truth values.
const OLD_WORDS: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "true", "false"];

/// A scalar or alias in one line, without its anchor.
pub(super) fn one_line(text: &str, item: &Item<'_>) -> String {
    match &item.shape {
        Shape::Alias(name) => (*name).to_owned(),
        Shape::Scalar { value, style: ScalarStyle::Plain } => match text[item.range.clone()].trim_end_matches(BLANKS) {
            source if !source.contains('\n') && !begins_block(source) => source.to_owned(),
            _ => unquoted(value),
        },
        Shape::Scalar { value, .. } | Shape::Block { value, .. } => unquoted(value),
        Shape::List { .. } | Shape::Map { .. } => String::new(),
    }
}

/// True for plain text within brackets that outside of them would be the header of a block.
fn begins_block(source: &str) -> bool {
    source.starts_with(['|', '>'])
}

/// Text without quotes where it needs none.
fn unquoted(value: &str) -> String {
    if is_plain(value) { value.to_owned() } else { quoted(value) }
}

/// True where every reader of YAML, old or new, in a block or in brackets, takes the text for what it is.
fn is_plain(value: &str) -> bool {
    let is_first = |it: char| it.is_alphanumeric() || matches!(it, '/' | '_');
    let is_inner = |it: char| it.is_alphanumeric() || " -_./:@+~%=?&()$;^".contains(it);
    // A colon in an address is common; others look like a key.
    let is_address_like = value.contains("://") && !value.contains([' ', ',']);
    let is_colon_clear = is_address_like || !value.contains(':');
    let is_shaped = value.starts_with(is_first)
        && value.chars().all(is_inner)
        && is_colon_clear
        && !value.ends_with([' ', ':'])
        && !value.starts_with("---");
    let is_address = || value.parse::<IpAddr>().is_ok() || value.parse::<IpNet>().is_ok();
    let is_old_word = OLD_WORDS.iter().any(|word| word.eq_ignore_ascii_case(value));
    // Dates, times of day and numbers of other bases are numbers for some.
    let is_number = value.starts_with(|it: char| it.is_ascii_digit())
        && value.chars().all(|it| it.is_ascii_hexdigit() || "xo_:.-+".contains(it));
    is_shaped && !is_old_word && (!is_number || is_address()) && matches!(scalar::plain(value), Content::Text(_))
}

fn quoted(value: &str) -> String {
    let is_plain_inside = !value.chars().any(|it| it == '\'' || is_special(it));
    if is_plain_inside && value.contains(['"', '\\']) {
        return format!("'{value}'");
    }
    let mut text = String::from('"');
    for it in value.chars() {
        match it {
            '"' | '\\' => text.extend(['\\', it]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            // Writing to a String cannot fail.
            it if is_special(it) => _ = write!(text, "\\u{:04X}", u32::from(it)),
            it => text.push(it),
        }
    }
    text.push('"');
    text
}

/// What cannot be seen, or ends a line for some.
fn is_special(it: char) -> bool {
    it.is_control() || matches!(it, '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A plain or quoted scalar of several lines, as its author broke them; none for one of a single line.
pub(super) fn several_lines(text: &str, item: &Item<'_>, indent: usize) -> Option<String> {
    let Shape::Scalar { style, .. } = &item.shape else { return None };
    let source = text[item.range.clone()].trim_end_matches(BLANKS);
    if !source.contains('\n') || begins_block(source) {
        return None;
    }
    let is_escaping = *style == ScalarStyle::DoubleQuoted;
    let mut written = String::new();
    let count = source.lines().count();
    for (number, line) in source.lines().enumerate() {
        let line = if number == 0 { line } else { line.trim_start_matches([' ', '\t']) };
        let trimmed = if number + 1 == count { line } else { line.trim_end_matches([' ', '\t']) };
        // `\ ` is a space that was meant, and must not become a line that goes on.
        let is_cut = is_escaping && trimmed.len() < line.len() && trimmed.ends_with('\\');
        if number > 0 {
            written.push('\n');
            written.extend(std::iter::repeat_n(' ', if trimmed.is_empty() { 0 } else { indent }));
        }
        written.push_str(if is_cut { line } else { trimmed });
    }
    Some(written)
}

/// A text below a header.
pub(super) struct BlockText {
    /// `|`, `>-` and the like.
    pub(super) header: String,
    /// Its lines, not indented; the last one ends with a line break.
    pub(super) lines: Vec<String>,
    /// True where the empty lines after it belong to it.
    pub(super) keeps_end: bool,
}

/// A text below a header as it is written anew; none where quotes do better.
pub(super) fn block_text(text: &str, item: &Item<'_>) -> Option<BlockText> {
    let Shape::Block { value, style, header } = &item.shape else { return None };
    let body = value.trim_end_matches('\n');
    if body.is_empty() || value.chars().any(|it| is_special(it) && !matches!(it, '\n' | '\t')) {
        return None;
    }
    let breaks = value.len() - body.len();
    let is_literal = *style == ScalarStyle::Literal;
    let needs_indent = body.trim_start_matches('\n').starts_with([' ', '\t']);
    if !is_literal && (breaks > 1 || needs_indent) {
        return None;
    }
    let chomping = match breaks {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let lines = if is_literal {
        let all = if breaks > 1 { &value[..value.len() - 1] } else { body };
        all.split('\n').map(str::to_owned).collect()
    } else {
        folded_lines(text, item, *header)?
    };
    let mark = if is_literal { "|" } else { ">" };
    let indent = if needs_indent { "2" } else { "" };
    Some(BlockText { header: format!("{mark}{indent}{chomping}"), lines, keeps_end: breaks > 1 })
}

/// The lines of a folded text as its author broke them.
fn folded_lines(text: &str, item: &Item<'_>, header: usize) -> Option<Vec<String>> {
    let head = text[header..].lines().next()?;
    let marks = head.split([' ', '\t']).next()?;
    if marks.contains(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let start = (header + head.len() + 1).min(item.range.end);
    let source: Vec<&str> = text[start..item.range.end].lines().collect();
    let indent_of = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let indent = source.iter().find(|line| !line.trim_matches(BLANKS).is_empty()).map(|line| indent_of(line))?;
    let mut lines: Vec<String> =
        source.iter().map(|line| line.get(indent.min(indent_of(line))..).unwrap_or_default().to_owned()).collect();
    for line in &mut lines {
        if line.trim_matches(BLANKS).is_empty() {
            line.clear();
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    Some(lines)
}
