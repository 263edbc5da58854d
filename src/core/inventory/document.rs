//! Documents between parsing and meaning.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
use super::schema::Kind;
use super::yaml::{Node, Part};
use crate::core::model::{Diagnostic, Place, Related, Severity};

/// A document with where it was written.
#[derive(Debug)]
pub(super) struct Entry<D> {
    pub(super) doc: D,
    pub(super) file: Arc<str>,
    pub(super) node: Node,
}

/// All documents of an inventory that match their schemas, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) sites: Vec<Entry<SiteDoc>>,
    pub(super) services: Vec<Entry<ServiceDoc>>,
    pub(super) backends: Vec<Entry<BackendDoc>>,
    pub(super) edges: Vec<Entry<EdgeDoc>>,
    pub(super) faults: Vec<Diagnostic>,
    /// Names of documents that could not be taken; empty for one whose name could not be read either.
    pub(super) broken: BTreeSet<(Kind, String)>,
    /// Kinds of which some file could not be read to its end.
    pub(super) has_unread: BTreeSet<Kind>,
}

impl Documents {
    pub(super) fn append(&mut self, other: Self) {
        let Self { sites, services, backends, edges, faults, broken, has_unread } = other;
        self.sites.extend(sites);
        self.services.extend(services);
        self.backends.extend(backends);
        self.edges.extend(edges);
        self.faults.extend(faults);
        self.broken.extend(broken);
        self.has_unread.extend(has_unread);
    }

    /// True when a document of this name may exist among those that could not be taken. What depends on it is then not a
    /// fault of its own.
    pub(super) fn may_exist(&self, kind: Kind, name: &str) -> bool {
        let is_broken = |name: &str| self.broken.contains(&(kind, name.to_owned()));
        self.has_unread.contains(&kind) || is_broken("") || is_broken(name)
    }

    /// True when every document of the kind could be taken, so that what is not there is really not there.
    pub(super) fn is_complete(&self, kind: Kind) -> bool {
        !self.has_unread.contains(&kind) && !self.broken.iter().any(|(broken, _)| *broken == kind)
    }
}

impl<D> Entry<D> {
    pub(super) fn place(&self, pointer: &str) -> Place {
        self.node.place_of(pointer, Part::Value)
    }

    pub(super) fn error(
        &self,
        pointer: &str,
        code: &'static str,
        message: String,
        hint: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            file: self.file.to_string(),
            place: Some(self.place(pointer)),
            message,
            hint: Some(hint.into()),
            related: Vec::new(),
        }
    }

    pub(super) fn warning(
        &self,
        pointer: &str,
        code: &'static str,
        message: String,
        hint: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..self.error(pointer, code, message, hint) }
    }

    pub(super) fn related(&self, pointer: &str, message: impl Into<String>) -> Related {
        Related { file: self.file.to_string(), place: self.place(pointer), message: message.into() }
    }
}
