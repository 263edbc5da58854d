//! Text of others in Markdown. Whoever writes an inventory writes what reviewers read about it: nothing of it may be taken for
//! a mention, a link, a row of a table, HTML, or a command of the CI whose log it reaches.

/// Characters of one such text. Most faults take a line.
const CHARS_MAX: usize = 300;

/// A text as code. Forges look for mentions, references and HTML everywhere but there.
///
/// The fence is longer than any run of backticks in the text (`CommonMark`, section 6.1), and the text is one line: an empty one
/// would end the paragraph, and with it the code.
pub(super) fn code(text: &str) -> String {
    let mut line: String = text.chars().take(CHARS_MAX).map(shown).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        line.push('…');
    }
    // The older form of a command in GitHub's logs counts anywhere in a line.
    let line = line.replace("##[", "# #[");
    let line = if line.trim().is_empty() { "(nothing)" } else { line.trim() };
    let longest = line.split(|it| it != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // Of one space at each end, which is not shown, a backtick at an end has need.
    let space = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{line}{space}{fence}")
}

/// The same in a cell of a table: those are cut at `|` before anybody looks for code (GFM, section 4.10).
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Line ends, controls and what turns the direction of writing, which can make one text look like another.
fn shown(letter: char) -> char {
    match letter {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        it if it.is_control() => '\u{fffd}',
        it => it,
    }
}

/// A text in an HTML comment: it can neither end it nor look like the end of it.
pub(super) fn in_comment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.');
    let encode = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_code_span() {
        for (text, expected) in [
            ("plain", "`plain`"),
            ("no site is named `dijno`", "`` no site is named `dijno` ``"),
            ("`` and ```", "```` `` and ``` ````"),
            ("", "`(nothing)`"),
            ("\n\n", "`(nothing)`"),
            ("one\n\n@everybody\n## two", "`one  @everybody ## two`"),
            ("\u{202e}drow\u{7}", "`\u{fffd}drow\u{fffd}`"),
            ("##[command]", "`# #[command]`"),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
        let long = code(&"é".repeat(400));
        assert!(long.ends_with("é…`") && long.chars().count() == CHARS_MAX + 3, "{long}");
        assert_eq!(cell("a | b"), "`a \\| b`");
        assert_eq!(in_comment("a/b --> x-y"), "a/b%20%2D%2D%3E%20x%2Dy");
    }
}
