use std::collections::BTreeMap;
use std::fmt::Display;

use super::View;
use crate::core::inventory::Kind;
use crate::core::inventory::finding::{Declared, Finding};

/// `duplicate-name`: a name is unique in its kind.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let documents = view.documents;
    let mut findings = duplicates(Kind::Site, &documents.sites, |site| &site.name);
    findings.extend(duplicates(Kind::Service, &documents.services, |service| &service.name));
    findings.extend(duplicates(Kind::Backend, &documents.backends, |backend| &backend.name));
    findings.extend(duplicates(Kind::Edge, &documents.edges, |edge| &edge.name));
    findings
}

fn duplicates<'d, T, N: Ord + Display + 'd>(
    kind: Kind,
    documents: &'d [Declared<T>],
    name_of: impl Fn(&'d T) -> &'d N,
) -> Vec<Finding> {
    let mut first: BTreeMap<&N, &Declared<T>> = BTreeMap::new();
    let mut findings = Vec::new();
    for document in documents {
        let name = name_of(&document.doc);
        match first.get(name) {
            None => _ = first.insert(name, document),
            Some(earlier) => {
                let message = format!("another {kind} is named `{name}` too");
                let finding = Finding::error("duplicate-name", document.at("/name"), message)
                    .hint(format!("rename one of them, or remove it: a name is unique among all {}", kind.folder()))
                    .related(earlier.at("/name"), "first declared here");
                findings.push(finding);
            }
        }
    }
    findings
}
