use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::Value;

use super::{Key, Node, NodeKind, fault, scalar};
use crate::core::inventory::codes;
use crate::core::model::{Diagnostic, Place};

/// Deepest nesting of a document; the deepest inventory document has four levels.
const DEPTH_MAX: usize = 32;
/// Nodes that aliases may stand for, in one file. Aliases are a convenience for a few lines; without a bound, a kilobyte
/// of them stands for gigabytes.
const ALIASED_NODES_MAX: usize = 10_000;

/// Builds the documents of a file. Stops at the first fault after which the rest means nothing.
pub(super) fn build(file: &str, text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    // A byte order mark is allowed at the start of a stream (YAML 1.2.2, section 5.2).
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offset = text.len() - body.len();
    let mut builder = Builder {
        file,
        places: Places::new(body, offset),
        documents: Vec::new(),
        faults: Vec::new(),
        stack: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
    };
    let mut parser = Parser::new_from_str(body);
    while let Some(event) = parser.next_event() {
        let proceed = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.syntax(&error),
        };
        if proceed.is_err() {
            break;
        }
    }
    (builder.documents, builder.faults)
}

/// A fault after which reading on means nothing.
struct Stop;

struct Builder<'a> {
    file: &'a str,
    places: Places<'a>,
    documents: Vec<Node>,
    faults: Vec<Diagnostic>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

/// A collection that is not complete yet.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Key, Node)>, key: Option<Pending> },
}

/// A key that waits for its value. A key that is refused has no text; its value is read and dropped.
struct Pending {
    place: Place,
    text: Option<String>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = self.places.of(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            Event::DocumentEnd => self.anchors.clear(),
            Event::Alias(anchor) => {
                let node = self.alias(anchor, place)?;
                self.add(node, 0);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                let value = match style {
                    ScalarStyle::Plain => scalar::resolve(&text),
                    _ => Value::from(text.into_owned()),
                };
                self.add(Node { place, kind: NodeKind::Scalar(value) }, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                self.open(place, anchor, Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                self.open(place, anchor, Content::Mapping { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
        Ok(())
    }

    fn syntax(&mut self, error: &ScanError) -> Result<(), Stop> {
        let place = self.places.of(Span::empty(*error.marker()));
        let message = format!("this is not YAML: {}", error.info());
        let hint = "indent with spaces, close every bracket and quote, and quote texts with special characters";
        self.faults.push(fault(self.file, codes::SYNTAX, place, message, hint));
        Err(Stop)
    }

    fn refuse_tag(&mut self, is_tagged: bool, place: Place) {
        if is_tagged {
            let hint = "remove the tag; quote a value that must be a text";
            self.faults.push(fault(self.file, codes::TAG, place, "tags are not taken here", hint));
        }
    }

    fn open(&mut self, place: Place, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.stack.len() >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            self.faults.push(fault(
                self.file,
                codes::DEPTH_LIMIT,
                place,
                message,
                "no inventory document is nested so deep",
            ));
            return Err(Stop);
        }
        self.stack.push(Open { place, anchor, content });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Open { place, anchor, content }) = self.stack.pop() else { return };
        let kind = match content {
            Content::Sequence(items) => NodeKind::Sequence(items),
            Content::Mapping { entries, key: _ } => NodeKind::Mapping(entries),
        };
        self.add(Node { place, kind }, anchor);
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&anchor) else {
            let hint = "an alias stands after the end of what it repeats";
            self.faults.push(fault(self.file, codes::SYNTAX, place, "this alias is inside what it repeats", hint));
            return Err(Stop);
        };
        self.aliased += count(node);
        if self.aliased > ALIASED_NODES_MAX {
            let message = format!("aliases repeat more than {ALIASED_NODES_MAX} values in this file");
            self.faults.push(fault(
                self.file,
                codes::ALIAS_LIMIT,
                place,
                message,
                "write the values out, or split the file",
            ));
            return Err(Stop);
        }
        // A fault in a repeated value is shown where it is repeated only if it is of the value as a whole.
        Ok(Node { place, ..node.clone() })
    }

    /// Puts a complete node where it belongs: document, item, key or value.
    fn add(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                Some(Pending { place, text: Some(text) }) => entries.push((Key { place, text }, node)),
                Some(Pending { text: None, .. }) => {}
                None => {
                    let pending = admit(self.file, node, entries, &mut self.faults);
                    *key = Some(pending);
                }
            },
        }
    }
}

/// Takes a node as a key, or refuses it.
fn admit(file: &str, node: Node, entries: &[(Key, Node)], faults: &mut Vec<Diagnostic>) -> Pending {
    let place = node.place;
    let NodeKind::Scalar(Value::String(text)) = node.kind else {
        faults.push(fault(file, codes::KEY_NOT_TEXT, place, "this key is not a text", "quote it, or name a known key"));
        return Pending { place, text: None };
    };
    if text == "<<" {
        let hint = "write the keys out: a reviewer then sees what a document says";
        faults.push(fault(file, codes::MERGE_KEY, place, "merge keys are not taken here", hint));
        return Pending { place, text: None };
    }
    if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == text) {
        let mut fault =
            fault(file, codes::DUPLICATE_KEY, place, format!("`{text}` is here twice"), "keep one of the two");
        fault.related.push(crate::core::model::Related {
            file: file.to_owned(),
            place: first.place,
            message: "first written here".to_owned(),
        });
        faults.push(fault);
        return Pending { place, text: None };
    }
    Pending { place, text: Some(text) }
}

fn count(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 1,
        NodeKind::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        NodeKind::Mapping(entries) => 1 + entries.iter().map(|(_, value)| 1 + count(value)).sum::<usize>(),
    }
}

/// Turns the parser's marks, which count characters, into places with byte offsets.
struct Places<'a> {
    /// Byte offset of every character; none where characters are bytes.
    bytes: Option<Vec<usize>>,
    text: &'a str,
    /// Bytes before the text: a byte order mark.
    offset: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str, offset: usize) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { bytes, text, offset }
    }

    fn byte(&self, index: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        }
    }

    fn of(&self, span: Span) -> Place {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        // A block collection's span reaches over blank lines and comments; underlining stops at its last visible character.
        let end = start + self.text.get(start..end).map_or(0, |text| text.trim_end().len());
        let (start, end) = (start + self.offset, end + self.offset);
        Place { line: span.start.line(), column: span.start.col() + 1, start, end }
    }
}
