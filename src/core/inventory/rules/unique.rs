//! Names, addresses and subnets belong to one thing each.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;

use crate::core::inventory::codes;
use crate::core::inventory::doc::SiteDoc;
use crate::core::inventory::document::{Documents, Entry};
use crate::core::inventory::schema::Kind;
use crate::core::model::Diagnostic;

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    names(Kind::Site, &documents.sites, |doc| doc.name.as_str(), faults);
    names(Kind::Service, &documents.services, |doc| doc.name.as_str(), faults);
    names(Kind::Backend, &documents.backends, |doc| doc.name.as_str(), faults);
    names(Kind::Edge, &documents.edges, |doc| doc.name.as_str(), faults);
    addresses(documents, faults);
    subnets(documents, faults);
}

fn names<'a, D>(kind: Kind, entries: &'a [Entry<D>], name: fn(&'a D) -> &'a str, faults: &mut Vec<Diagnostic>) {
    let mut first_by_name: BTreeMap<&str, &Entry<D>> = BTreeMap::new();
    for entry in entries {
        let name = name(&entry.doc);
        if let Some(first) = first_by_name.get(name) {
            let message = format!("another {kind} is named `{name}`");
            let mut fault = entry.error("/name", codes::DUPLICATE_NAME, message, "give one of them another name");
            fault.related.push(first.related("/name", "first declared here"));
            faults.push(fault);
        } else {
            first_by_name.insert(name, entry);
        }
    }
}

fn addresses(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let mut first_by_address = BTreeMap::new();
    for entry in &documents.backends {
        let address = SocketAddr::new(entry.doc.addr, entry.doc.port.get());
        if let Some(first) = first_by_address.insert(address, entry) {
            let message = format!("{address} is also the address of backend `{}`", first.doc.name);
            let hint =
                "a backend is one instance of one service; correct the address or the port, or remove one of them";
            let mut fault = entry.error("/addr", codes::DUPLICATE_ADDRESS, message, hint);
            fault.related.push(first.related("/addr", "first declared here"));
            faults.push(fault);
            first_by_address.insert(address, first);
        }
    }
}

fn subnets(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let all = documents
        .sites
        .iter()
        .flat_map(|entry| entry.doc.subnets.iter().enumerate().map(move |(index, subnet)| (*subnet, index, entry)));
    let mut sorted: Vec<_> = all.collect();
    // Sorted by first address, wider networks first: one that overlaps an earlier one overlaps the widest open one.
    sorted.sort_by_key(|(subnet, ..)| (subnet.network(), subnet.prefix_len()));
    let mut widest: Option<(IpNet, usize, &Entry<SiteDoc>)> = None;
    for (subnet, index, entry) in sorted {
        match widest {
            Some((outer, outer_index, other)) if outer.contains(&subnet) => {
                if other.doc.name == entry.doc.name {
                    continue;
                }
                // The later of the two in the order of files is at fault; the earlier was there first.
                let is_later = (&other.file, other.place("")) < (&entry.file, entry.place(""));
                let (at, at_index, first, first_index, own, its) = if is_later {
                    (entry, index, other, outer_index, subnet, outer)
                } else {
                    (other, outer_index, entry, index, outer, subnet)
                };
                let message = format!("{own} overlaps {its} of site `{}`", first.doc.name);
                let pointer = format!("/subnets/{at_index}");
                let hint = "an address belongs to one site; make the networks disjoint";
                let mut fault = at.error(&pointer, codes::OVERLAPPING_SUBNETS, message, hint);
                fault.related.push(first.related(&format!("/subnets/{first_index}"), "first declared here"));
                faults.push(fault);
            }
            _ => widest = Some((subnet, index, entry)),
        }
    }
}
