use std::ops::Range;

/// A comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Comment<'t> {
    /// Its first byte, the `#`.
    pub(super) start: usize,
    /// From `#` to its last character that is not white space.
    pub(super) text: &'t str,
}

/// What stands between the values, where the parser says nothing of it. Each list is in order.
#[derive(Debug, Default)]
pub(super) struct Gaps<'t> {
    /// Comments.
    pub(super) comments: Vec<Comment<'t>>,
    /// Anchors: where they stand, and their names with `&`.
    pub(super) anchors: Vec<(usize, &'t str)>,
    /// The `-` of list items.
    pub(super) dashes: Vec<usize>,
    /// The `|` and `>` of block texts.
    pub(super) headers: Vec<usize>,
}

impl<'t> Gaps<'t> {
    /// Looks through everything outside of `values`, which are in order.
    pub(super) fn of(text: &'t str, values: &[Range<usize>]) -> Self {
        let mut gaps = Self::default();
        let mut at = 0;
        for value in values {
            gaps.scan(text, at..value.start.max(at));
            at = at.max(value.end);
        }
        gaps.scan(text, at..text.len());
        gaps
    }

    fn scan(&mut self, text: &'t str, gap: Range<usize>) {
        let bytes = text.as_bytes();
        let mut at = gap.start;
        while at < gap.end {
            // Any of these means something only where a word begins, or right after a bracket.
            let is_first = at == 0 || b" \t\n,[]{}:".contains(&bytes[at - 1]);
            let rest = &text[at..];
            let word = rest.find([' ', '\t', '\n', ',', '[', ']', '{', '}']).unwrap_or(rest.len());
            at += match bytes[at] {
                b'#' if is_first => {
                    let line = rest.find('\n').unwrap_or(rest.len());
                    self.comments.push(Comment { start: at, text: rest[..line].trim_end() });
                    line
                }
                b'&' if is_first => {
                    self.anchors.push((at, &rest[..word]));
                    word
                }
                b'-' if is_first && word == 1 => {
                    self.dashes.push(at);
                    1
                }
                b'|' | b'>' if is_first => {
                    self.headers.push(at);
                    1
                }
                // A directive, and a tag, are nothing of these.
                b'%' if at == 0 || bytes[at - 1] == b'\n' => rest.find([' ', '\n']).unwrap_or(rest.len()),
                _ => rest.chars().next().map_or(1, char::len_utf8),
            };
        }
    }

    /// Where the `-` stands that is the last one before `start`.
    pub(super) fn dash_before(&self, start: usize) -> Option<usize> {
        last_before(&self.dashes, start)
    }

    /// Where the header stands that is the last one before `start`.
    pub(super) fn header_before(&self, start: usize) -> Option<usize> {
        last_before(&self.headers, start)
    }
}

fn last_before(all: &[usize], start: usize) -> Option<usize> {
    let count = all.partition_point(|at| *at < start);
    all.get(count.checked_sub(1)?).copied()
}
