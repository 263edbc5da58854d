use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::gaps::{Comment, Gaps};
use crate::core::inventory::yaml::{Lines, tight_end};

/// A text as it was written.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    /// Its documents that are not empty, each with the place where the next one begins.
    pub(super) documents: Vec<(Item<'t>, usize)>,
    /// Its comments, in order.
    pub(super) comments: Vec<Comment<'t>>,
}

/// A value and how it was written.
#[derive(Debug)]
pub(super) struct Item<'t> {
    /// Its anchor with `&`.
    pub(super) anchor: Option<&'t str>,
    /// The first byte of its anchor, or of itself.
    pub(super) outer: usize,
    /// Its bytes, without an anchor. A block ends where its last value does.
    pub(super) range: Range<usize>,
    /// The `-` before it, where it is an item of a list in block style.
    pub(super) dash: Option<usize>,
    /// What it is.
    pub(super) shape: Shape<'t>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Shape<'t> {
    /// A repetition: the anchor's name with `*`.
    Alias(&'t str),
    /// Text, number, truth value or nothing, plain or in quotes.
    Scalar { value: String, style: ScalarStyle },
    /// Text of lines below a header.
    Block { value: String, style: ScalarStyle, header: usize },
    /// A list.
    List { is_flow: bool, items: Vec<Item<'t>> },
    /// A mapping.
    Map { is_flow: bool, entries: Vec<(Item<'t>, Item<'t>)> },
}

impl Item<'_> {
    /// Nothing is written: a key or a dash alone.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.shape, Shape::Scalar { value, style: ScalarStyle::Plain } if value.is_empty())
    }
}

impl<'t> Tree<'t> {
    /// Reads a text that is known to be YAML without tags.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let lines = Lines::of(text);
        let mut events = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.ok()?;
            let place = lines.place(span);
            events.push((event, place.start..place.end));
        }
        let values: Vec<Range<usize>> =
            events.iter().filter_map(|(event, range)| covered(text, event, range)).collect();
        let gaps = Gaps::of(text, &values);
        let mut builder = Builder { text, gaps, anchors: 0, open: Vec::new(), documents: Vec::new() };
        for (event, range) in events {
            builder.take(event, range)?;
        }
        let Builder { gaps, documents, .. } = builder;
        Some(Self { documents, comments: gaps.comments })
    }
}

/// What of an event is a value's own text, in which nothing is looked for.
fn covered(text: &str, event: &Event<'_>, range: &Range<usize>) -> Option<Range<usize>> {
    match event {
        Event::Alias(_) => Some(range.clone()),
        Event::Scalar(_, style, anchor, _) => {
            let start = if *anchor == 0 { range.start } else { past_anchor(text, range) };
            let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            // Past an anchor, the header comes first.
            let start = if is_block && *anchor != 0 { past_line(text, start) } else { start };
            let end = inner_end(text, *style, start, range.end);
            (start < end).then_some(start..end)
        }
        _ => None,
    }
}

/// Where a scalar that begins at `start` ends.
fn inner_end(text: &str, style: ScalarStyle, start: usize, end: usize) -> usize {
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => tight_end(text, start, end),
        _ => end,
    }
}

/// The first byte after an anchor and the white space and comments that follow it.
fn past_anchor(text: &str, range: &Range<usize>) -> usize {
    let mut at = range.start;
    if text[at..].starts_with('&') {
        at += text[at..range.end].find([' ', '\t', '\n', ',', '[', ']', '{', '}']).unwrap_or(range.end - at);
    }
    loop {
        let rest = &text[at..range.end];
        at += rest.len() - rest.trim_start().len();
        if !text[at..range.end].starts_with('#') {
            return at;
        }
        at = past_line(text, at).min(range.end);
    }
}

fn past_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

struct Builder<'t> {
    text: &'t str,
    gaps: Gaps<'t>,
    /// Anchors that values have taken.
    anchors: usize,
    open: Vec<(Item<'t>, Option<Item<'t>>)>,
    documents: Vec<(Item<'t>, usize)>,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                if let Some((_, end)) = self.documents.last_mut().filter(|(_, end)| *end == usize::MAX) {
                    *end = range.start;
                }
            }
            Event::Alias(_) => {
                let shape = Shape::Alias(self.text.get(range.clone())?.trim_end());
                let item = self.item(0, range.start, range, shape)?;
                self.deliver(item)?;
            }
            Event::Scalar(value, style, anchor, _) => {
                let item = self.scalar(value.into_owned(), style, anchor, range)?;
                self.deliver(item)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(anchor, range, |is_flow| Shape::List { is_flow, items: Vec::new() })?;
            }
            Event::MappingStart(anchor, _) => {
                self.begin(anchor, range, |is_flow| Shape::Map { is_flow, entries: Vec::new() })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (mut item, _) = self.open.pop()?;
                let is_bracket = range.end > range.start && self.text[range.start..].starts_with([']', '}']);
                item.range.end = if is_bracket { range.start + 1 } else { item.last_end().max(item.range.start) };
                self.deliver(item)?;
            }
        }
        Some(())
    }

    fn scalar(&mut self, value: String, style: ScalarStyle, anchor: usize, range: Range<usize>) -> Option<Item<'t>> {
        let outer = range.start;
        let start = if anchor == 0 { range.start } else { past_anchor(self.text, &range) };
        let inner = start..inner_end(self.text, style, start, range.end.max(start));
        let shape = match style {
            ScalarStyle::Literal | ScalarStyle::Folded if anchor != 0 => Shape::Block { value, style, header: start },
            ScalarStyle::Literal | ScalarStyle::Folded => {
                Shape::Block { value, style, header: self.gaps.header_before(start)? }
            }
            _ => Shape::Scalar { value, style },
        };
        let outer = match &shape {
            Shape::Block { header, .. } if anchor == 0 => *header,
            _ => outer,
        };
        self.item(anchor, outer, inner, shape)
    }

    fn begin(&mut self, anchor: usize, range: Range<usize>, shape: impl FnOnce(bool) -> Shape<'t>) -> Option<()> {
        let is_inside_flow = self.open.last().is_some_and(|(item, _)| item.is_flow());
        let inner = if anchor == 0 { range.start } else { past_anchor(self.text, &range) };
        let is_bracket = inner < range.end && self.text[inner..].starts_with(['[', '{']);
        let start = if is_bracket { inner } else { range.end };
        let item = self.item(anchor, range.start, start..start, shape(is_bracket || is_inside_flow))?;
        self.open.push((item, None));
        Some(())
    }

    fn item(&mut self, anchor: usize, outer: usize, range: Range<usize>, shape: Shape<'t>) -> Option<Item<'t>> {
        let name = if anchor == 0 {
            None
        } else {
            self.anchors += 1;
            Some(self.gaps.anchors.get(self.anchors - 1)?.1)
        };
        let is_item =
            self.open.last().is_some_and(|(item, _)| matches!(item.shape, Shape::List { is_flow: false, .. }));
        let dash = if is_item { Some(self.gaps.dash_before(outer)?) } else { None };
        Some(Item { anchor: name, outer, range, dash, shape })
    }

    fn deliver(&mut self, item: Item<'t>) -> Option<()> {
        let Some((parent, key)) = self.open.last_mut() else {
            if !item.is_empty() {
                self.documents.push((item, usize::MAX));
            }
            return Some(());
        };
        match &mut parent.shape {
            Shape::List { items, .. } => items.push(item),
            Shape::Map { entries, .. } => match key.take() {
                Some(key) => entries.push((key, item)),
                None => *key = Some(item),
            },
            Shape::Alias(_) | Shape::Scalar { .. } | Shape::Block { .. } => return None,
        }
        Some(())
    }
}

impl Item<'_> {
    /// True for what was written in brackets.
    pub(super) fn is_flow(&self) -> bool {
        matches!(self.shape, Shape::List { is_flow: true, .. } | Shape::Map { is_flow: true, .. })
    }

    fn last_end(&self) -> usize {
        match &self.shape {
            Shape::List { items, .. } => items.last().map_or(0, |item| item.range.end),
            Shape::Map { entries, .. } => {
                entries.last().map_or(0, |(key, value)| if value.is_empty() { key.range.end } else { value.range.end })
            }
            Shape::Alias(_) | Shape::Scalar { .. } | Shape::Block { .. } => 0,
        }
    }
}
