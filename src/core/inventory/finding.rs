use std::collections::{BTreeMap, BTreeSet};

use super::yaml::{self, Node};
use crate::core::model::{Diagnostic, Place, Related, Severity};

/// What to underline at a JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    /// The key that leads there.
    Key,
    /// The value that stands there.
    Value,
}

/// A document, by the position of its file in the file set and its own position in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DocumentId {
    /// Position of the file.
    pub(super) file: usize,
    /// Position in the file.
    pub(super) index: usize,
}

/// A place that is not looked up yet.
///
/// Places of 40,000 documents would take more memory than the documents, and nearly always nobody asks for one. A rule
/// says what it means by a JSON pointer; [`locate`] reads the few files concerned once more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// The document.
    pub(super) document: DocumentId,
    /// JSON pointer into it.
    pub(super) pointer: String,
    /// What to underline.
    pub(super) spot: Spot,
}

/// A document as it was read, with where it came from.
#[derive(Debug)]
pub(super) struct Declared<T> {
    /// The document.
    pub(super) doc: T,
    /// Where it stands.
    pub(super) id: DocumentId,
}

impl<T> Declared<T> {
    /// The value at a pointer.
    pub(super) fn at(&self, pointer: impl Into<String>) -> At {
        At { document: self.id, pointer: pointer.into(), spot: Spot::Value }
    }

    /// The key that leads to a pointer.
    pub(super) fn key(&self, pointer: impl Into<String>) -> At {
        At { document: self.id, pointer: pointer.into(), spot: Spot::Key }
    }
}

/// What a rule has found, before its place is known.
#[derive(Debug)]
pub(super) struct Finding {
    code: &'static str,
    severity: Severity,
    at: At,
    message: String,
    hint: Option<String>,
    related: Vec<(At, String)>,
}

impl Finding {
    /// A fault for which the revision is not used.
    pub(super) fn error(code: &'static str, at: At, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, at, message: message.into(), hint: None, related: Vec::new() }
    }

    /// Something that somebody should look at.
    pub(super) fn warning(code: &'static str, at: At, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    /// The same with a cure.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with another place.
    pub(super) fn related(mut self, at: At, message: impl Into<String>) -> Self {
        self.related.push((at, message.into()));
        self
    }
}

/// Turns findings into diagnostics by reading again the files that they speak of, each once.
pub(super) fn locate(findings: Vec<Finding>, files: &[(&str, &[u8])]) -> Vec<Diagnostic> {
    let mut wanted: BTreeMap<usize, BTreeSet<&At>> = BTreeMap::new();
    for finding in &findings {
        for at in std::iter::once(&finding.at).chain(finding.related.iter().map(|(at, _)| at)) {
            wanted.entry(at.document.file).or_default().insert(at);
        }
    }
    let mut places: BTreeMap<At, Place> = BTreeMap::new();
    for (file, ats) in wanted {
        let stream = std::str::from_utf8(files[file].1).map(yaml::read).unwrap_or_default();
        for at in ats {
            if let Some(document) = stream.documents.get(at.document.index) {
                places.insert(at.clone(), place(&document.root, at));
            }
        }
    }
    let file_of = |at: &At| files[at.document.file].0.to_owned();
    let related = |(at, message): (At, String)| {
        let place = places.get(&at).copied()?;
        Some(Related { file: file_of(&at), place, message })
    };
    let diagnose = |finding: Finding| Diagnostic {
        code: finding.code,
        severity: finding.severity,
        file: file_of(&finding.at),
        place: places.get(&finding.at).copied(),
        message: finding.message,
        hint: finding.hint,
        related: finding.related.into_iter().filter_map(related).collect(),
    };
    findings.into_iter().map(diagnose).collect()
}

fn place(root: &Node, at: &At) -> Place {
    match at.spot {
        Spot::Key => root.key_place(&at.pointer),
        Spot::Value => root.value_place(&at.pointer),
    }
}
