//! A service has backends, and survives the loss of a site.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::inventory::doc::{BackendDoc, HealthTypeDoc, ServiceDoc, StateDoc};
use crate::core::inventory::document::{Documents, Entry};
use crate::core::inventory::schema::Kind;
use crate::core::inventory::{codes, resolve};
use crate::core::model::{Diagnostic, SiteName};

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    // A backend that could not be read may be the one that is missed.
    if !documents.is_complete(Kind::Backend) {
        return;
    }
    let declared: BTreeSet<_> = documents.sites.iter().map(|entry| &entry.doc.name).collect();
    let mut by_service: BTreeMap<&str, Vec<&Entry<BackendDoc>>> = BTreeMap::new();
    for entry in &documents.backends {
        by_service.entry(entry.doc.service.as_str()).or_default().push(entry);
    }
    for entry in &documents.services {
        match by_service.get(entry.doc.name.as_str()) {
            None => {
                let name = &entry.doc.name;
                let hint = format!("add a file to backends/ with `service: {name}`, or remove the service");
                let message = format!("service `{name}` has no backend");
                faults.push(entry.error("/name", codes::NO_BACKENDS, message, hint));
            }
            Some(backends) => {
                traffic(entry, backends, &declared, faults);
                mixed_health(entry, backends, faults);
            }
        }
    }
}

fn traffic(
    entry: &Entry<ServiceDoc>,
    backends: &[&Entry<BackendDoc>],
    declared: &BTreeSet<&SiteName>,
    faults: &mut Vec<Diagnostic>,
) {
    let name = &entry.doc.name;
    let active: Vec<_> = backends.iter().filter(|backend| backend.doc.state == StateDoc::Active).collect();
    if active.is_empty() {
        // A warning: taking a service out of service on purpose is an honest thing to commit.
        let message = format!("every backend of service `{name}` is drained or disabled: it answers 503");
        faults.push(entry.warning("/name", codes::NO_ACTIVE_BACKEND, message, "make one of them `state: active`"));
        return;
    }
    if active.iter().all(|backend| backend.doc.weight == 0) {
        let message = format!("every active backend of service `{name}` has weight 0");
        let mut fault = entry.error("/name", codes::WEIGHTS_ALL_ZERO, message, "give one of them a weight");
        fault.related.extend(active.iter().map(|backend| backend.related("/weight", "weight 0 here")));
        faults.push(fault);
        return;
    }
    let sites: BTreeSet<_> =
        active.iter().filter(|backend| backend.doc.weight > 0).map(|backend| &backend.doc.site).collect();
    // A site that nobody declares is a misspelt one, and may be any.
    if let Some(site) = sites.first().filter(|site| sites.len() == 1 && declared.contains(*site)) {
        let message = format!("service `{name}` is only at site `{site}` and does not survive its loss");
        faults.push(entry.warning("/name", codes::SINGLE_SITE, message, "add a backend at another site"));
    }
}

fn mixed_health(entry: &Entry<ServiceDoc>, backends: &[&Entry<BackendDoc>], faults: &mut Vec<Diagnostic>) {
    if resolve::health_type(&entry.doc) == HealthTypeDoc::Tcp {
        return;
    }
    let path = |backend: &BackendDoc| resolve::health_path(backend, &entry.doc);
    let Some((first, others)) = backends.split_first() else { return };
    let Some(other) = others.iter().find(|other| path(&other.doc) != path(&first.doc)) else { return };
    let message = format!(
        "backends of service `{}` are probed at different paths, so its edges cannot check them when bascule is gone",
        entry.doc.name
    );
    let at = if other.doc.health.is_some() { other } else { first };
    faults.push(at.warning("/health", codes::MIXED_HEALTH, message, "use one path for all backends of a service"));
}
