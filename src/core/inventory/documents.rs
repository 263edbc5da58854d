use std::collections::BTreeSet;

use super::Kind;
use super::doc::{BackendDoc, EdgeDoc, ServiceDoc, SiteDoc};
use super::finding::Declared;

/// All documents of an inventory that could be read, in the order of their files.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Sites.
    pub(super) sites: Vec<Declared<SiteDoc>>,
    /// Services.
    pub(super) services: Vec<Declared<ServiceDoc>>,
    /// Backends.
    pub(super) backends: Vec<Declared<BackendDoc>>,
    /// Edges.
    pub(super) edges: Vec<Declared<EdgeDoc>>,
    /// What is known of documents that could not be read.
    pub(super) broken: Broken,
}

/// What is known of documents that could not be read: a rule must not report a name as missing when the document that
/// declares it is there and has another fault.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// Names that they declare.
    names: BTreeSet<(Kind, String)>,
    /// Kinds of which a document does not even show its name.
    nameless: BTreeSet<Kind>,
    /// Services that broken backends belong to.
    services: BTreeSet<String>,
}

impl Broken {
    /// Remembers a document. None stands for what it does not show.
    pub(super) fn remember(&mut self, kind: Kind, name: Option<&str>, service: Option<&str>) {
        match name {
            Some(name) => _ = self.names.insert((kind, name.to_owned())),
            None => _ = self.nameless.insert(kind),
        }
        if kind == Kind::Backend {
            match service {
                Some(service) => _ = self.services.insert(service.to_owned()),
                None => _ = self.nameless.insert(kind),
            }
        }
    }

    /// True when a broken document may declare this name.
    pub(super) fn may_declare(&self, kind: Kind, name: &str) -> bool {
        self.nameless.contains(&kind) || self.names.contains(&(kind, name.to_owned()))
    }

    /// True when a broken backend may belong to this service.
    pub(super) fn may_serve(&self, service: &str) -> bool {
        self.nameless.contains(&Kind::Backend) || self.services.contains(service)
    }

    /// True when a document of this kind is broken.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.nameless.contains(&kind) || self.names.iter().any(|(broken, _)| *broken == kind)
    }

    /// Adds what another one knows.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { names, nameless, services } = other;
        self.names.extend(names);
        self.nameless.extend(nameless);
        self.services.extend(services);
    }
}
