use serde_json::{Number, Value};

use crate::core::model::Place;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::core::inventory) struct Node {
    /// From its first character to past its last.
    pub(in crate::core::inventory) place: Place,
    /// What it is.
    pub(in crate::core::inventory) content: Content,
}

/// A YAML value as the 1.2 core schema reads it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::core::inventory) enum Content {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written; its keys differ from each other.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::core::inventory) struct Entry {
    /// The key.
    pub(in crate::core::inventory) key: String,
    /// Where the key stands.
    pub(in crate::core::inventory) key_place: Place,
    /// The value.
    pub(in crate::core::inventory) value: Node,
}

impl Node {
    /// The entry of a mapping under `key`.
    pub(in crate::core::inventory) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text of a mapping's value under `key`, where it is text.
    pub(in crate::core::inventory) fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same value without places.
    pub(in crate::core::inventory) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(bool) => Value::Bool(*bool),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect())
            }
        }
    }

    /// The place of the value at a JSON pointer (RFC 6901); of the nearest value above it where there is none.
    pub(in crate::core::inventory) fn value_place(&self, pointer: &str) -> Place {
        self.walk(pointer).1.place
    }

    /// The place of the key that leads to a JSON pointer. A list's item has no key: its own place; so has the root, which
    /// gives its first key.
    pub(in crate::core::inventory) fn key_place(&self, pointer: &str) -> Place {
        match self.walk(pointer) {
            (Some(entry), _) => entry.key_place,
            (None, Self { content: Content::Map(entries), place }) => {
                entries.first().map_or(*place, |entry| entry.key_place)
            }
            (None, node) => node.place,
        }
    }

    fn walk(&self, pointer: &str) -> (Option<&Entry>, &Self) {
        let (mut entry, mut node) = (None, self);
        for token in pointer.split('/').skip(1) {
            match &node.content {
                Content::List(items) => match token.parse::<usize>().ok().and_then(|index| items.get(index)) {
                    Some(item) => (entry, node) = (None, item),
                    None => break,
                },
                Content::Map(_) => match node.entry(&unescape(token)) {
                    Some(found) => (entry, node) = (Some(found), &found.value),
                    None => break,
                },
                _ => break,
            }
        }
        (entry, node)
    }
}

/// A key as a token of a JSON pointer.
pub(in crate::core::inventory) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
