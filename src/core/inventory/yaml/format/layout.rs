use std::collections::VecDeque;

use super::WIDTH_MAX;
use super::gaps::Comment;
use super::scalars::{block_text, one_line, several_lines};
use super::tree::{Item, Shape};

/// Spaces of one level.
const STEP: usize = 2;

/// Where a block ends: how far comments may be its own.
#[derive(Debug, Clone, Copy)]
struct End {
    /// The first byte of what follows.
    next: usize,
    /// The least column of a comment that belongs to the block and not to what follows.
    column: usize,
}

/// Writes documents.
pub(super) struct Layout<'t> {
    text: &'t str,
    starts: Vec<usize>,
    comments: VecDeque<Comment<'t>>,
    out: String,
    /// True where no empty line may come: at the beginning, and below the key that a block belongs to.
    is_fresh: bool,
    /// True where the indentation and a dash are written already.
    is_begun: bool,
}

impl<'t> Layout<'t> {
    /// With the comments of the text, in order.
    pub(super) fn of(text: &'t str, comments: VecDeque<Comment<'t>>) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { text, starts, comments, out: String::new(), is_fresh: true, is_begun: false }
    }

    /// All documents, and the comments that stand in none.
    pub(super) fn write(mut self, documents: &[(Item<'t>, usize)]) -> String {
        for (number, (root, next)) in documents.iter().enumerate() {
            if number > 0 {
                self.out.push_str("---\n");
                self.is_fresh = true;
            }
            if self.is_block(root, 0, 0) {
                if let Some(anchor) = root.anchor {
                    self.own_comments(root.outer, 0);
                    self.out.push_str(anchor);
                    self.end_line(root.outer, first_child(root));
                }
                self.block(root, 0, End { next: *next, column: 0 });
            } else {
                self.own_comments(root.outer, 0);
                self.value(root, 0, *next);
            }
            self.own_comments(*next, 0);
        }
        self.own_comments(usize::MAX, 0);
        self.out
    }

    fn block(&mut self, item: &Item<'t>, indent: usize, end: End) {
        match &item.shape {
            Shape::List { items, .. } => {
                for (at, child) in items.iter().enumerate() {
                    let next = items.get(at + 1).map_or(inner_end(item, end), |next| next.dash.unwrap_or(next.outer));
                    self.list_item(child, indent, next);
                }
            }
            Shape::Map { entries, .. } => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    let next = entries.get(at + 1).map_or(inner_end(item, end), |(next, _)| next.outer);
                    self.entry(key, value, indent, next);
                }
            }
            Shape::Alias(_) | Shape::Scalar { .. } | Shape::Block { .. } => {}
        }
        if item.is_flow() {
            self.own_comments(item.range.end, indent);
        } else {
            while self.comments.front().is_some_and(|it| it.start < end.next && self.column_of(it.start) >= end.column)
            {
                self.own_comment(indent);
            }
        }
    }

    fn list_item(&mut self, item: &Item<'t>, indent: usize, next: usize) {
        self.own_comments(item.dash.unwrap_or(item.outer), indent);
        self.separate(item.dash.unwrap_or(item.outer));
        self.hoist(self.first_line_end(item), indent);
        self.begin(indent);
        let column = item.dash.map_or(0, |dash| self.column_of(dash) + 1);
        if !self.is_block(item, indent, STEP) {
            self.out.push('-');
            self.value(item, indent, next);
            return;
        }
        self.out.push_str("- ");
        if let Some(anchor) = item.anchor {
            self.out.push_str(anchor);
            self.end_line(item.outer, first_child(item));
        } else {
            self.is_begun = true;
        }
        self.is_fresh = true;
        self.block(item, indent + STEP, End { next, column });
        self.after_bracket(item, indent + STEP, next);
    }

    fn entry(&mut self, key: &Item<'t>, value: &Item<'t>, indent: usize, next: usize) {
        self.own_comments(key.outer, indent);
        self.separate(key.outer);
        let name = format!("{}{}:", self.inline(key), if matches!(key.shape, Shape::Alias(_)) { " " } else { "" });
        let is_block = self.is_block(value, indent, name.chars().count() + 1);
        if !is_block && !value.is_empty() {
            self.hoist(value.outer_content(), indent);
        }
        self.begin(indent);
        self.out.push_str(&name);
        if !is_block {
            if value.is_empty() && value.anchor.is_none() {
                self.end_line(key.range.end.saturating_sub(1), next);
            } else {
                self.value(value, indent, next);
            }
            return;
        }
        if let Some(anchor) = value.anchor {
            self.out.push(' ');
            self.out.push_str(anchor);
        }
        // A comment after the closing bracket goes with the key, where there is none inside.
        let is_after = |it: &Comment<'_>| {
            value.is_flow()
                && it.start >= value.range.end
                && self.line_of(it.start) == self.line_of(value.range.end - 1)
        };
        if self.comments.front().is_some_and(is_after) {
            self.end_line(value.range.end - 1, next);
        } else {
            self.end_line(key.range.end.saturating_sub(1), first_child(value));
        }
        self.is_fresh = true;
        self.block(value, indent + STEP, End { next, column: self.column_of(key.outer) + 1 });
        self.after_bracket(value, indent + STEP, next);
    }

    /// Comments on the line of a bracket that is not written any more.
    fn after_bracket(&mut self, item: &Item<'t>, indent: usize, next: usize) {
        let last = item.range.end.saturating_sub(1);
        let is_after = |it: &Comment<'_>| it.start < next && self.line_of(it.start) == self.line_of(last);
        if item.is_flow() && self.comments.front().is_some_and(is_after) {
            self.own_comment(indent);
        }
    }

    /// A value that begins on the line of its key or dash, and the end of that line.
    fn value(&mut self, item: &Item<'t>, indent: usize, next: usize) {
        let is_first = self.out.is_empty() || self.out.ends_with('\n');
        if !is_first && (item.anchor.is_some() || !item.is_empty()) {
            self.out.push(' ');
        }
        if let Some(block) = block_text(self.text, item) {
            let Shape::Block { header, .. } = item.shape else { return };
            self.push_anchor(item);
            self.out.push_str(&block.header);
            self.end_line(header, usize::MAX);
            for line in block.lines {
                let is_nothing = line.is_empty();
                self.out.extend(std::iter::repeat_n(' ', if is_nothing { 0 } else { indent + STEP }));
                self.out.push_str(&line);
                self.out.push('\n');
            }
            self.is_fresh = block.keeps_end;
            return;
        }
        if let Some(lines) = several_lines(self.text, item, indent + STEP) {
            self.push_anchor(item);
            self.out.push_str(&lines);
        } else {
            let text = self.inline(item);
            self.out.push_str(&text);
        }
        match item.shape {
            Shape::Block { header, .. } => self.end_line(header, usize::MAX),
            _ if item.is_empty() && item.anchor.is_none() => self.end_line(item.dash.unwrap_or(item.outer), next),
            _ => self.end_line(item.range.end.saturating_sub(1).max(item.outer), next),
        }
    }

    fn push_anchor(&mut self, item: &Item<'t>) {
        if let Some(anchor) = item.anchor {
            self.out.push_str(anchor);
            self.out.push(' ');
        }
    }

    /// In one line, with its anchor.
    fn inline(&self, item: &Item<'t>) -> String {
        let text = match &item.shape {
            Shape::List { items, .. } => {
                let items: Vec<String> = items.iter().map(|item| self.inline(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Shape::Map { entries, .. } if entries.is_empty() => "{}".to_owned(),
            Shape::Map { entries, .. } => {
                let entry = |(key, value): &(Item<'t>, Item<'t>)| {
                    let gap = if matches!(key.shape, Shape::Alias(_)) { " " } else { "" };
                    format!("{}{gap}: {}", self.inline(key), self.inline(value))
                };
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }
            _ => one_line(self.text, item),
        };
        match item.anchor {
            Some(anchor) if text.is_empty() => anchor.to_owned(),
            Some(anchor) => format!("{anchor} {text}"),
            None => text,
        }
    }

    /// True for what is written below its key: blocks, and what does not go into one line in brackets.
    fn is_block(&self, item: &Item<'t>, indent: usize, before: usize) -> bool {
        let is_bare = match &item.shape {
            Shape::List { items, .. } => items.is_empty(),
            Shape::Map { entries, .. } => entries.is_empty(),
            _ => true,
        };
        if is_bare {
            return false;
        }
        let range = &item.range;
        !item.is_flow()
            || self.comments.iter().take_while(|it| it.start < range.end).any(|it| it.start > range.start)
            || has_nothing(item)
            || indent + before + self.inline(item).chars().count() > WIDTH_MAX
    }

    /// The end of what is written on the first line of a list's item.
    fn first_line_end(&self, item: &Item<'t>) -> usize {
        if !self.is_block(item, 0, 0) {
            return if item.is_empty() { item.dash.unwrap_or(item.outer) } else { item.outer_content() };
        }
        let first = match &item.shape {
            _ if item.anchor.is_some() => None,
            Shape::List { items, .. } => items.first().map(|item| self.first_line_end(item)),
            Shape::Map { entries, .. } => entries.first().map(|(key, value)| {
                let is_below = value.is_empty() || self.is_block(value, 0, 0);
                if is_below { key.outer } else { value.outer_content() }
            }),
            _ => None,
        };
        first.unwrap_or(item.outer)
    }

    /// Comments before `limit`, on lines of their own.
    fn own_comments(&mut self, limit: usize, indent: usize) {
        while self.comments.front().is_some_and(|it| it.start < limit) {
            self.own_comment(indent);
        }
    }

    fn own_comment(&mut self, indent: usize) {
        if let Some(comment) = self.comments.pop_front() {
            self.separate(comment.start);
            self.begin(indent);
            self.out.push_str(comment.text);
            self.out.push('\n');
            self.is_fresh = false;
        }
    }

    /// Comments between a key and its value, which are written before both.
    fn hoist(&mut self, limit: usize, indent: usize) {
        while self.comments.front().is_some_and(|it| it.start < limit) {
            self.is_fresh = true;
            self.own_comment(indent);
        }
    }

    /// The end of a line, with the comment that stands after `last` on its line and before what is `next`.
    fn end_line(&mut self, last: usize, next: usize) {
        let line = self.line_of(last);
        let is_here = |it: &Comment<'_>| (last..next).contains(&it.start) && self.line_of(it.start) == line;
        if self.comments.front().is_some_and(is_here)
            && let Some(comment) = self.comments.pop_front()
        {
            self.out.push_str("  ");
            self.out.push_str(comment.text);
        }
        self.out.push('\n');
        self.is_fresh = false;
    }

    fn begin(&mut self, indent: usize) {
        if !std::mem::take(&mut self.is_begun) {
            self.out.extend(std::iter::repeat_n(' ', indent));
        }
    }

    /// One empty line where the author left some before what stands at `start`.
    fn separate(&mut self, start: usize) {
        let line = self.line_of(start);
        let above = line.checked_sub(1).map(|above| self.text[self.starts[above]..self.starts[line]].trim());
        if !self.is_fresh && !self.is_begun && above.is_some_and(str::is_empty) {
            self.out.push('\n');
            self.is_fresh = true;
        }
    }

    /// The line of a byte, from 0.
    fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// The column of a byte, from 0.
    fn column_of(&self, at: usize) -> usize {
        at - self.starts[self.line_of(at)]
    }
}

impl Item<'_> {
    /// Where what is written after an anchor begins.
    fn outer_content(&self) -> usize {
        match self.shape {
            Shape::Block { header, .. } => header,
            _ => self.range.start,
        }
    }
}

/// What follows the last child of a block.
fn inner_end(item: &Item<'_>, end: End) -> usize {
    if item.is_flow() { item.range.end } else { end.next }
}

/// Where the first value of a list or mapping begins.
fn first_child(item: &Item<'_>) -> usize {
    let first = match &item.shape {
        Shape::List { items, .. } => items.first().map(|item| item.dash.unwrap_or(item.outer)),
        Shape::Map { entries, .. } => entries.first().map(|(key, _)| key.outer),
        Shape::Alias(_) | Shape::Scalar { .. } | Shape::Block { .. } => None,
    };
    first.unwrap_or(item.range.end)
}

/// True where a key has no value: in brackets, readers differ in what that is.
fn has_nothing(item: &Item<'_>) -> bool {
    match &item.shape {
        Shape::List { items, .. } => items.iter().any(|item| item.is_empty() || has_nothing(item)),
        Shape::Map { entries, .. } => entries.iter().any(|(_, value)| value.is_empty() || has_nothing(value)),
        _ => false,
    }
}
