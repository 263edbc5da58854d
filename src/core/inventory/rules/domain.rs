//! A host and path belong to one service.

use std::collections::BTreeMap;

use crate::core::inventory::doc::ServiceDoc;
use crate::core::inventory::document::{Documents, Entry};
use crate::core::inventory::{codes, resolve};
use crate::core::model::{Diagnostic, Hostname, PathPrefix};

type Claim<'a> = (&'a Entry<ServiceDoc>, String);

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let mut claims: BTreeMap<(Hostname, PathPrefix), Claim<'_>> = BTreeMap::new();
    let mut owners: BTreeMap<Hostname, Claim<'_>> = BTreeMap::new();
    for entry in &documents.services {
        paths(entry, faults);
        for (index, host) in entry.doc.domains.iter().enumerate() {
            let pointer = format!("/domains/{index}");
            let mut is_reported = false;
            for path in resolve::paths(&entry.doc) {
                let key = (host.clone(), path);
                if let Some((first, first_pointer)) = claims.get(&key) {
                    // One host that is claimed twice is one fault, however many paths it has.
                    if !is_reported {
                        faults.push(duplicate(entry, &pointer, &key, first, first_pointer));
                    }
                    is_reported = true;
                } else {
                    claims.insert(key, (entry, pointer.clone()));
                }
            }
            owners.entry(host.clone()).or_insert((entry, pointer));
        }
    }
    for (host, (entry, pointer)) in &owners {
        let covering =
            host.covering_wildcard().and_then(|wildcard| owners.get(&wildcard).map(|owner| (wildcard, owner)));
        if let Some((wildcard, (other, other_pointer))) =
            covering.filter(|(_, (other, _))| other.doc.name != entry.doc.name)
        {
            let message = format!("`{host}` takes requests from `{wildcard}` of service `{}`", other.doc.name);
            let hint = "nothing to do if that is meant: an exact name wins over a wildcard";
            let mut fault = entry.warning(pointer, codes::DOMAIN_SHADOWED, message, hint);
            fault.related.push(other.related(other_pointer, "the wildcard"));
            faults.push(fault);
        }
    }
}

fn duplicate(
    entry: &Entry<ServiceDoc>,
    pointer: &str,
    (host, path): &(Hostname, PathPrefix),
    first: &Entry<ServiceDoc>,
    first_pointer: &str,
) -> Diagnostic {
    let claim = if path.is_root() { host.to_string() } else { format!("{host}{path}") };
    let (message, hint) = if first.doc.name == entry.doc.name {
        (format!("`{claim}` is here twice"), "keep one of the two")
    } else {
        let message = format!("`{claim}` belongs to service `{}` already", first.doc.name);
        (message, "give one of the services another domain, or other `paths`")
    };
    let mut fault = entry.error(pointer, codes::DUPLICATE_DOMAIN, message, hint);
    fault.related.push(first.related(first_pointer, "first declared here"));
    fault
}

/// A path of the same service that another of its paths covers says nothing.
fn paths(entry: &Entry<ServiceDoc>, faults: &mut Vec<Diagnostic>) {
    for (index, path) in entry.doc.paths.iter().enumerate() {
        if let Some(first) = entry.doc.paths[..index].iter().position(|earlier| earlier == path) {
            let pointer = format!("/paths/{index}");
            let message = format!("the path `{path}` is here twice");
            let mut fault = entry.error(&pointer, codes::DUPLICATE_DOMAIN, message, "keep one of the two");
            fault.related.push(entry.related(&format!("/paths/{first}"), "first written here"));
            faults.push(fault);
        }
    }
}
