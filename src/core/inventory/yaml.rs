//! YAML with positions: a tree in which every value knows where it was written.
//!
//! The parser is saphyr's (YAML 1.2); scalars are resolved here by the core schema, so `no` is a text and not false. What
//! an inventory has no use for is refused rather than interpreted: tags, merge keys, keys that are not texts.

mod builder;
mod scalar;

use serde_json::{Map, Value};

use super::codes;
use crate::core::model::{Diagnostic, Place, Severity};

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub place: Place,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Null, a truth value, a number or a text.
    Scalar(Value),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order of writing.
    Mapping(Vec<(Key, Node)>),
}

/// A mapping's key with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where it was written.
    pub place: Place,
    /// The key.
    pub text: String,
}

/// Which part of a mapping entry a pointer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Node {
    /// The value without places.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::Sequence(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            NodeKind::Mapping(entries) => {
                let entry = |(key, value): &(Key, Self)| (key.text.clone(), value.to_value());
                Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
            }
        }
    }

    /// The node at a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    fn entry(&self, key: &str) -> Option<&(Key, Self)> {
        match &self.kind {
            NodeKind::Mapping(entries) => entries.iter().find(|(known, _)| known.text == key),
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
        }
    }

    /// The text, where the node is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(value) => value.as_str(),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }

    /// Where a JSON pointer (RFC 6901) leads; as far as it can be followed.
    pub fn place_of(&self, pointer: &str, part: Part) -> Place {
        let mut node = self;
        let mut place = self.place;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                NodeKind::Mapping(_) => node.entry(&token).map(|(key, value)| (value, key.place)),
                NodeKind::Sequence(items) => {
                    token.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item, item.place))
                }
                NodeKind::Scalar(_) => None,
            };
            let Some((next, key_place)) = next else { return place };
            node = next;
            place = match part {
                Part::Key => key_place,
                Part::Value => next.place,
            };
        }
        place
    }
}

/// The documents of a file, and what is wrong with it as YAML. Documents before a syntax error are returned with it.
pub fn parse(file: &str, bytes: &[u8]) -> (Vec<Node>, Vec<Diagnostic>) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line_start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let place = Place {
                line: String::from_utf8_lossy(good).matches('\n').count() + 1,
                column: String::from_utf8_lossy(&good[line_start..]).chars().count() + 1,
                start: good.len(),
                end: good.len(),
            };
            let fault = fault(file, codes::NOT_UTF8, place, "the file is not UTF-8", "save it as UTF-8");
            return (Vec::new(), vec![fault]);
        }
    };
    builder::build(file, text)
}

fn fault(
    file: &str,
    code: &'static str,
    place: Place,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        file: file.to_owned(),
        place: Some(place),
        message: message.into(),
        hint: Some(hint.into()),
        related: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_places() {
        let (documents, faults) = parse("a.yaml", "name: dijon\nlist: [1, \"x\", é, true]\n---\nb: ~\n".as_bytes());
        assert_eq!(faults, []);
        assert_eq!(documents.len(), 2);
        let first = &documents[0];
        assert_eq!(first.to_value(), json!({"name": "dijon", "list": [1, "x", "é", true]}));
        let place = |pointer, part| {
            let Place { line, column, start, end } = first.place_of(pointer, part);
            (line, column, start, end)
        };
        assert_eq!(place("/name", Part::Value), (1, 7, 6, 11));
        assert_eq!(place("/name", Part::Key), (1, 1, 0, 4));
        assert_eq!(place("/list/1", Part::Value), (2, 11, 22, 25));
        assert_eq!(place("/list/2", Part::Value), (2, 16, 27, 29));
        assert_eq!(place("/list/3", Part::Value), (2, 19, 31, 35));
        assert_eq!(documents[1].to_value(), json!({"b": null}));
    }

    #[test]
    fn what_an_inventory_has_no_use_for_is_refused() {
        for (text, code) in [
            ("a: 1\na: 2\n", codes::DUPLICATE_KEY),
            ("a: !!int 1\n", codes::TAG),
            ("a: &x {b: 1}\nc: {<<: *x}\n", codes::MERGE_KEY),
            ("1: a\n", codes::KEY_NOT_TEXT),
            ("[a]: b\n", codes::KEY_NOT_TEXT),
            ("a: [\n", codes::SYNTAX),
            ("a:\n\tb: 1\n", codes::SYNTAX),
            ("a: *missing\n", codes::SYNTAX),
        ] {
            let (_, faults) = parse("a.yaml", text.as_bytes());
            assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [code], "{text:?}");
        }
    }

    #[test]
    fn an_alias_bomb_costs_nothing() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let below = format!("*a{}", level - 1);
            bomb = format!("{bomb}a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
        }
        let (_, faults) = parse("a.yaml", bomb.as_bytes());
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [codes::ALIAS_LIMIT]);
    }

    #[test]
    fn depth_is_bounded() {
        let (_, faults) = parse("a.yaml", format!("a: {}{}", "[".repeat(200), "]".repeat(200)).as_bytes());
        assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [codes::DEPTH_LIMIT]);
    }
}
