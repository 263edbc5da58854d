//! What no schema can say: rules between values, documents and files. One file a family.

mod addresses;
mod domains;
mod edges;
mod guard;
mod health;
mod names;
mod question;
mod references;
mod routing;
mod several;
mod traffic;
mod tunnels;
mod upstream;

use std::collections::BTreeMap;

use super::doc::{BackendDoc, ServiceDoc, SiteDoc};
use super::documents::Documents;
use super::finding::{Declared, Finding};
use crate::core::model::{ServiceName, SiteName};

/// A family of rules.
type Rule = fn(&View<'_>) -> Vec<Finding>;

const RULES: [Rule; 11] = [
    names::check,
    references::check,
    addresses::check,
    domains::check,
    health::check,
    traffic::check,
    upstream::check,
    edges::check,
    routing::check,
    tunnels::check,
    guard::check,
];

/// Holds all documents against all rules.
pub(super) fn check(documents: &Documents) -> Vec<Finding> {
    let view = View::of(documents);
    RULES.iter().flat_map(|rule| rule(&view)).collect()
}

/// The documents with what most rules look up. Where a name is declared twice, the first one counts.
struct View<'d> {
    documents: &'d Documents,
    sites: BTreeMap<&'d SiteName, &'d Declared<SiteDoc>>,
    services: BTreeMap<&'d ServiceName, &'d Declared<ServiceDoc>>,
    backends: BTreeMap<&'d ServiceName, Vec<&'d Declared<BackendDoc>>>,
}

impl<'d> View<'d> {
    fn of(documents: &'d Documents) -> Self {
        let mut view = Self { documents, sites: BTreeMap::new(), services: BTreeMap::new(), backends: BTreeMap::new() };
        for site in &documents.sites {
            view.sites.entry(&site.doc.name).or_insert(site);
        }
        for service in &documents.services {
            view.services.entry(&service.doc.name).or_insert(service);
        }
        for backend in &documents.backends {
            view.backends.entry(&backend.doc.service).or_default().push(backend);
        }
        view
    }

    /// The backends of a service, in the order of their files.
    fn backends_of(&self, service: &ServiceName) -> &[&'d Declared<BackendDoc>] {
        self.backends.get(service).map_or(&[], Vec::as_slice)
    }
}
