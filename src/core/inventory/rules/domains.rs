use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::core::inventory::doc::ServiceDoc;
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::model::{Hostname, PathPrefix, ServiceName};

/// A claim of one host name: by which service, in which of its domains.
type Claim<'d> = (&'d Declared<ServiceDoc>, usize);

/// Who claims a wildcard. Thousands of services may, each with paths of its own, so names are looked up.
struct Holders<'a, 'd> {
    claims: &'a [Claim<'d>],
    names: BTreeSet<&'d ServiceName>,
}

impl<'a, 'd> Holders<'a, 'd> {
    fn of(claims: &'a [Claim<'d>]) -> Self {
        Self { claims, names: claims.iter().map(|(service, _)| &service.doc.name).collect() }
    }
}

/// `duplicate-domain` and `domain-shadowed`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_host: BTreeMap<&Hostname, Vec<Claim<'_>>> = BTreeMap::new();
    for service in &view.documents.services {
        findings.extend(repeated_paths(service));
        for (index, host) in service.doc.domains.iter().enumerate() {
            by_host.entry(host).or_default().push((service, index));
        }
    }
    let wildcards: BTreeMap<&Hostname, Holders<'_, '_>> = by_host
        .iter()
        .filter(|(host, _)| host.is_wildcard())
        .map(|(host, claims)| (*host, Holders::of(claims)))
        .collect();
    for (host, claims) in &by_host {
        findings.extend(duplicates(host, claims));
        let wildcard = host.covering_wildcard().and_then(|wildcard| wildcards.get_key_value(&wildcard));
        if let Some((wildcard, holders)) = wildcard {
            findings.extend(shadowed(claims[0], wildcard, holders));
        }
    }
    findings
}

/// Two services may share a host as long as they answer different path prefixes: the longest one wins.
fn duplicates(host: &Hostname, claims: &[Claim<'_>]) -> Vec<Finding> {
    let mut first: BTreeMap<PathPrefix, Claim<'_>> = BTreeMap::new();
    let mut findings = Vec::new();
    for claim in claims {
        let (service, index) = *claim;
        let mut clash = None;
        for path in paths(&service.doc) {
            match first.get(&path) {
                Some(earlier) => clash = clash.or(Some((path, *earlier))),
                None => _ = first.insert(path, *claim),
            }
        }
        let Some((path, (earlier, earlier_index))) = clash else { continue };
        if earlier.id != service.id && earlier.doc.name == service.doc.name {
            continue; // The same service written twice is a duplicate name, and says so.
        }
        let what = if path.is_root() { format!("`{host}`") } else { format!("`{host}{path}`") };
        let message = if earlier.id == service.id {
            format!("{what} stands twice in this service")
        } else {
            format!("{what} belongs to service `{}` already", earlier.doc.name)
        };
        let hint = if earlier.id == service.id {
            "remove one of them"
        } else {
            "take another host name, or give the services different `paths`"
        };
        let finding = Finding::error("duplicate-domain", service.at(format!("/domains/{index}")), message)
            .hint(hint)
            .related(earlier.at(format!("/domains/{earlier_index}")), "first declared here");
        findings.push(finding);
    }
    findings
}

fn repeated_paths(service: &Declared<ServiceDoc>) -> Vec<Finding> {
    let mut first: BTreeMap<&PathPrefix, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (index, path) in service.doc.paths.iter().enumerate() {
        if let Some(earlier) = first.get(path) {
            let message = format!("the path `{path}` stands twice in this service");
            let finding = Finding::error("duplicate-path", service.at(format!("/paths/{index}")), message)
                .hint("remove one of them; `/api`, `/api/` and `/api/*` are the same prefix")
                .related(service.at(format!("/paths/{earlier}")), "first written here");
            findings.push(finding);
        } else {
            first.insert(path, index);
        }
    }
    findings
}

/// An exact name under another service's wildcard takes that name's traffic away from the wildcard. Often that is meant;
/// it is worth a look in a review.
fn shadowed(claim: Claim<'_>, wildcard: &Hostname, holders: &Holders<'_, '_>) -> Option<Finding> {
    let (service, index) = claim;
    if holders.names.contains(&service.doc.name) {
        return None;
    }
    let (holder, holder_index) = holders.claims.first()?;
    let host = &service.doc.domains[index];
    let message = format!("`{host}` takes its traffic from `{wildcard}` of service `{}`", holder.doc.name);
    let finding = Finding::warning("domain-shadowed", service.at(format!("/domains/{index}")), message)
        .hint("an exact name wins over a wildcard; if that is meant, nothing is to be done")
        .related(holder.at(format!("/domains/{holder_index}")), "the wildcard is declared here");
    Some(finding)
}

/// A service's distinct path prefixes; everything, where it names none.
fn paths(service: &ServiceDoc) -> Vec<PathPrefix> {
    if service.paths.is_empty() {
        return vec![PathPrefix::root()];
    }
    let mut paths = service.paths.clone();
    paths.sort();
    paths.dedup();
    paths
}
