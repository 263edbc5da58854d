use std::collections::BTreeSet;

use super::View;
use crate::core::inventory::doc::{BackendDoc, ServiceDoc, StateDoc};
use crate::core::inventory::finding::{Declared, Finding};

/// `service-without-backends`, `no-active-backend`, `weights-all-zero`, `single-site`, `no-edge`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::from_iter(no_edge(view));
    // A backend of a service that is not declared may belong to any; once it is mended, one can tell.
    let has_strays = view.backends.keys().any(|service| !view.services.contains_key(service));
    if !has_strays {
        findings.extend(view.documents.services.iter().filter_map(|service| check_service(view, service)));
    }
    findings
}

/// Says the first thing that keeps a service from being served well; what follows from it is not said too.
fn check_service(view: &View<'_>, service: &Declared<ServiceDoc>) -> Option<Finding> {
    let name = &service.doc.name;
    if view.documents.broken.may_serve(name.as_str()) {
        return None; // Nobody can tell before the broken backend is mended.
    }
    let backends = view.backends_of(name);
    if backends.is_empty() {
        let finding =
            Finding::error("service-without-backends", service.at("/name"), format!("service `{name}` has no backend"));
        return Some(finding.hint(format!("declare one in backends/{name}-1.yaml, or remove the service")));
    }
    let active: Vec<&Declared<BackendDoc>> =
        backends.iter().copied().filter(|backend| backend.doc.state == StateDoc::Active).collect();
    if active.is_empty() {
        return Some(no_active_backend(service, backends[0]));
    }
    let weighty: Vec<&Declared<BackendDoc>> = active.iter().copied().filter(|backend| backend.doc.weight > 0).collect();
    if weighty.is_empty() {
        let message = format!("every active backend of service `{name}` has weight 0, so none takes traffic");
        let finding = Finding::error("weights-all-zero", service.at("/name"), message)
            .hint("give at least one of them a weight of 1 or more")
            .related(active[0].at("/weight"), "the first of them");
        return Some(finding);
    }
    single_site(service, &weighty)
}

/// An error, as with no backends at all: a commit that leaves a service without traffic is more often a slip than a wish,
/// the last good revision goes on serving, and who means it removes the service.
fn no_active_backend(service: &Declared<ServiceDoc>, first: &Declared<BackendDoc>) -> Finding {
    let name = &service.doc.name;
    let message = format!("every backend of service `{name}` is drained or disabled, so none takes traffic");
    Finding::error("no-active-backend", service.at("/name"), message)
        .hint("keep one of them active; to take the service out, remove it and its backends")
        .related(first.at("/state"), "the first of them")
}

fn single_site(service: &Declared<ServiceDoc>, backends: &[&Declared<BackendDoc>]) -> Option<Finding> {
    let sites: BTreeSet<_> = backends.iter().map(|backend| &backend.doc.site).collect();
    let mut sites = sites.into_iter();
    let (site, None) = (sites.next()?, sites.next()) else { return None };
    let name = &service.doc.name;
    let message = format!("service `{name}` does not survive site `{site}`: all backends that take traffic are there");
    let finding = Finding::warning("single-site", service.at("/name"), message)
        .hint("add a backend at another site")
        .related(backends[0].at("/site"), "the first of them");
    Some(finding)
}

fn no_edge(view: &View<'_>) -> Option<Finding> {
    use crate::core::inventory::Kind;
    let documents = view.documents;
    let service = documents.services.first()?;
    if !documents.edges.is_empty() || documents.broken.has(Kind::Edge) {
        return None;
    }
    let finding = Finding::warning("no-edge", service.at("/name"), "no edge is declared, so no service is served");
    Some(finding.hint("declare the Caddy that serves the public in edges/"))
}
