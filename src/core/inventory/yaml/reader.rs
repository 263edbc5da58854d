use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{
    ALIAS_NODES_MAX, Content, DEPTH_MAX, DOCUMENT_NODES_MAX, Entry, FAULTS_MAX, Lines, Node, scalar, tight_end,
};
use crate::core::model::Place;

/// Something in a YAML text that an inventory must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core::inventory) struct Fault {
    /// The diagnostic's code.
    pub(in crate::core::inventory) code: &'static str,
    /// Where it stands.
    pub(in crate::core::inventory) place: Place,
    /// What is wrong.
    pub(in crate::core::inventory) message: String,
    /// How to mend it.
    pub(in crate::core::inventory) hint: &'static str,
    /// Another place that belongs to it.
    pub(in crate::core::inventory) related: Option<(Place, &'static str)>,
}

/// One document of a file.
#[derive(Debug)]
pub(in crate::core::inventory) struct Document {
    /// Its root.
    pub(in crate::core::inventory) root: Node,
    /// False where something was left out of the tree because it was at fault.
    pub(in crate::core::inventory) is_whole: bool,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(in crate::core::inventory) struct Stream {
    /// Its documents that are not empty, up to where reading had to stop.
    pub(in crate::core::inventory) documents: Vec<Document>,
    /// All that is wrong, in order.
    pub(in crate::core::inventory) faults: Vec<Fault>,
    /// True where reading had to stop before the end.
    pub(in crate::core::inventory) is_cut: bool,
}

/// Reads all documents of a text.
pub(in crate::core::inventory) fn read(text: &str) -> Stream {
    if text.starts_with('\u{feff}') {
        let place = Place { line: 1, column: 1, start: 0, end: 0 };
        let message = "the file begins with a byte order mark".to_owned();
        let hint = "save it as UTF-8 without a byte order mark";
        let fault = Fault { code: "byte-order-mark", place, message, hint, related: None };
        return Stream { faults: vec![fault], is_cut: true, ..Stream::default() };
    }
    let mut reader = Reader::new(text);
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => reader.take(event, span),
            Err(error) => Err(Box::new(reader.syntax(&error))),
        };
        if let Err(fault) = outcome {
            reader.stream.faults.push(*fault);
            reader.stream.is_cut = true;
        }
        reader.stream.is_cut |= reader.stream.faults.len() >= FAULTS_MAX;
        if reader.stream.is_cut {
            break;
        }
    }
    reader.stream
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines<'t>,
    stream: Stream,
    open: Vec<Open>,
    /// Finished nodes that aliases may repeat, by the parser's anchor number.
    anchors: BTreeMap<usize, Node>,
    alias_nodes: usize,
    document_nodes: usize,
    document_is_whole: bool,
}

/// A list or mapping that has not ended.
struct Open {
    anchor: usize,
    place: Place,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: BTreeSet<String>, key: Key },
}

/// What a mapping waits for.
enum Key {
    /// A key.
    Wanted,
    /// The value of this key.
    Read(String, Place),
    /// A value that is dropped, since its key is at fault.
    Refused,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            lines: Lines::of(text),
            stream: Stream::default(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            alias_nodes: 0,
            document_nodes: 0,
            document_is_whole: true,
        }
    }

    /// Takes one event. A returned fault ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Fault>> {
        let mut place = self.lines.place(span);
        let is_quoted = |style: &ScalarStyle| matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let is_loose = match &event {
            Event::SequenceEnd | Event::MappingEnd => true,
            Event::Scalar(_, style, ..) => is_quoted(style),
            _ => false,
        };
        if is_loose {
            place.end = tight_end(self.text, place.start, place.end);
        }
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.document_nodes = 0;
                self.document_is_whole = true;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                let content = match style {
                    ScalarStyle::Plain => scalar::plain(&text),
                    _ => Content::Text(text.into_owned()),
                };
                self.finish(Node { place, content }, anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                self.begin(Open { anchor, place, inside: Inside::List(Vec::new()) })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                let inside = Inside::Map { entries: Vec::new(), keys: BTreeSet::new(), key: Key::Wanted };
                self.begin(Open { anchor, place, inside })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let anchor = open.anchor;
                    self.finish(open.close(place), anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let node = self.alias(anchor, place)?;
                self.deliver(node);
            }
        }
        Ok(())
    }

    fn begin(&mut self, open: Open) -> Result<(), Box<Fault>> {
        if self.open.len() == DEPTH_MAX {
            return Err(Box::new(Fault {
                code: "depth-limit",
                place: open.place,
                message: format!("more than {DEPTH_MAX} lists and mappings inside each other"),
                hint: "no document of an inventory is that deep; look for a bracket or an indentation too many",
                related: None,
            }));
        }
        self.open.push(open);
        Ok(())
    }

    /// Keeps a node for its aliases, then hands it to what holds it.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Box<Fault>> {
        self.document_nodes += 1;
        if self.document_nodes > DOCUMENT_NODES_MAX {
            return Err(Box::new(Fault {
                code: "size-limit",
                place: node.place,
                message: format!("more than {DOCUMENT_NODES_MAX} values in one document"),
                hint: "a document declares one thing; split it",
                related: None,
            }));
        }
        if anchor != 0 {
            self.charge(&node, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.deliver(node);
        Ok(())
    }

    fn deliver(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            // A document of nothing declares nothing: what follows a last `---`.
            if node.content != Content::Null || !self.document_is_whole {
                self.stream.documents.push(Document { root: node, is_whole: self.document_is_whole });
            }
            return;
        };
        let Inside::Map { entries, keys, key } = &mut open.inside else {
            if let Inside::List(items) = &mut open.inside {
                items.push(node);
            }
            return;
        };
        match std::mem::replace(key, Key::Wanted) {
            Key::Read(text, key_place) => entries.push(Entry { key: text, key_place, value: node }),
            Key::Refused => {}
            Key::Wanted => match accept_key(node, keys, entries) {
                Ok(accepted) => *key = accepted,
                Err(refused) => {
                    let (fault, keeps_tree) = *refused;
                    *key = Key::Refused;
                    self.document_is_whole &= keeps_tree;
                    self.stream.faults.push(fault);
                }
            },
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Box<Fault>> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Box::new(Fault {
                code: "yaml-syntax",
                place,
                message: "this alias stands inside its own anchor, or its anchor is in another document".to_owned(),
                hint: "write the value out",
                related: None,
            }));
        };
        let mut node = node.clone();
        self.charge(&node, place)?;
        node.place = place;
        Ok(node)
    }

    fn charge(&mut self, node: &Node, place: Place) -> Result<(), Box<Fault>> {
        self.alias_nodes += weight(node);
        if self.alias_nodes <= ALIAS_NODES_MAX {
            return Ok(());
        }
        Err(Box::new(Fault {
            code: "alias-limit",
            place,
            message: format!("the anchors and aliases of this file stand for more than {ALIAS_NODES_MAX} values"),
            hint: "write the values out, or split the file",
            related: None,
        }))
    }

    fn refuse_tag(&mut self, tag: Option<&saphyr_parser::Tag>, place: Place) {
        let Some(tag) = tag else { return };
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        self.document_is_whole = false;
        self.stream.faults.push(Fault {
            code: "yaml-tag",
            place,
            message: format!("the tag `{name}` is not allowed"),
            hint: "remove it; text that looks like a number goes in quotes",
            related: None,
        });
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let place = self.lines.point(error.marker());
        let (place, hint) = match self.lines.tab_in_indent(place.line) {
            Some(tab) => (tab, "YAML is indented with spaces, never with tabs"),
            None => (place, "look at the indentation, brackets and quotes here and just above"),
        };
        Fault { code: "yaml-syntax", place, message: format!("not YAML: {}", error.info()), hint, related: None }
    }
}

impl Open {
    fn close(self, end: Place) -> Node {
        let (content, last) = match self.inside {
            Inside::List(items) => {
                let last = items.last().map(|item| item.place.end);
                (Content::List(items), last)
            }
            Inside::Map { entries, .. } => {
                let last = entries.last().map(|entry| entry.value.place.end);
                (Content::Map(entries), last)
            }
        };
        // A closing bracket has a length; the end of a block does not and may stand lines below.
        let end = if end.end > end.start { end.end } else { last.unwrap_or(self.place.end) };
        Node { place: Place { end: end.max(self.place.start), ..self.place }, content }
    }
}

/// A key, or what is wrong with it and whether the tree is still worth checking without it.
fn accept_key(node: Node, keys: &mut BTreeSet<String>, entries: &[Entry]) -> Result<Key, Box<(Fault, bool)>> {
    let place = node.place;
    let Content::Text(text) = node.content else {
        let message = "a key must be text".to_owned();
        let hint = "put a key that looks like a number or a truth value in quotes";
        return Err(Box::new((Fault { code: "yaml-key", place, message, hint, related: None }, false)));
    };
    if text == "<<" {
        let message = "merge keys (`<<`) are not allowed".to_owned();
        let hint = "write the keys out: a reader must see what a document says without looking elsewhere";
        return Err(Box::new((Fault { code: "yaml-merge-key", place, message, hint, related: None }, false)));
    }
    if keys.contains(&text) {
        let first = entries.iter().find(|entry| entry.key == text).map(|entry| entry.key_place);
        let message = format!("the key `{text}` stands twice in one mapping");
        let related = first.map(|place| (place, "first written here"));
        return Err(Box::new((
            Fault { code: "duplicate-key", place, message, hint: "keep one of them", related },
            true,
        )));
    }
    keys.insert(text.clone());
    Ok(Key::Read(text, place))
}

/// Memory that a node stands for, in nodes.
fn weight(node: &Node) -> usize {
    let own = match &node.content {
        Content::Text(text) => text.len() / 32,
        Content::List(items) => items.iter().map(weight).sum(),
        Content::Map(entries) => entries.iter().map(|entry| weight(&entry.value) + 1 + entry.key.len() / 32).sum(),
        Content::Null | Content::Bool(_) | Content::Number(_) => 0,
    };
    1 + own
}
