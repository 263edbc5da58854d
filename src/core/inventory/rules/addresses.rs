use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::View;
use crate::core::inventory::doc::{BackendDoc, SiteDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::inventory::suggest::listed;

/// `duplicate-address`, `outside-subnets`, `overlapping-subnets`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = duplicate_addresses(view);
    findings.extend(view.documents.backends.iter().filter_map(|backend| outside_subnets(view, backend)));
    findings.extend(overlapping_subnets(&view.documents.sites));
    findings
}

/// Two backends at one address are one process counted twice: its share doubles, and an edge keeps failures by address,
/// so that one service's trouble takes the other's backend out.
fn duplicate_addresses(view: &View<'_>) -> Vec<Finding> {
    let mut first: BTreeMap<SocketAddr, &Declared<BackendDoc>> = BTreeMap::new();
    let mut findings = Vec::new();
    for backend in &view.documents.backends {
        let address = SocketAddr::new(backend.doc.addr, backend.doc.port.get());
        match first.get(&address) {
            None => _ = first.insert(address, backend),
            // The same name twice is reported as that.
            Some(earlier) if earlier.doc.name == backend.doc.name => {}
            Some(earlier) => {
                let message = format!("backend `{}` is at {address} already", earlier.doc.name);
                let hint = "give each backend its own address and port; one service may have several domains and paths";
                let finding = Finding::error("duplicate-address", backend.at("/addr"), message)
                    .hint(hint)
                    .related(earlier.at("/addr"), "first declared here");
                findings.push(finding);
            }
        }
    }
    findings
}

fn outside_subnets(view: &View<'_>, backend: &Declared<BackendDoc>) -> Option<Finding> {
    let BackendDoc { addr, site, .. } = &backend.doc;
    let declared = view.sites.get(site)?;
    let subnets = &declared.doc.subnets;
    if subnets.iter().any(|subnet| subnet.contains(addr)) {
        return None;
    }
    // A name that two sites claim is reported as that; either may be meant.
    let is_namesake = |other: &&Declared<SiteDoc>| other.doc.name == *site && other.id != declared.id;
    let mut namesakes = view.documents.sites.iter().filter(is_namesake);
    if namesakes.any(|other| other.doc.subnets.iter().any(|subnet| subnet.contains(addr))) {
        return None;
    }
    let home = view.sites.values().find(|other| other.doc.subnets.iter().any(|subnet| subnet.contains(addr)));
    let hint = match home {
        Some(home) => format!("{addr} belongs to site `{}`: correct the address or the site", home.doc.name),
        None => format!("use an address of {}", list(subnets)),
    };
    let message = format!("{addr} is in no subnet of site `{site}`");
    let finding = Finding::error("outside-subnets", backend.at("/addr"), message)
        .hint(hint)
        .related(declared.at("/subnets"), format!("the subnets of `{site}`"));
    Some(finding)
}

fn list(subnets: &[IpNet]) -> String {
    let texts: Vec<String> = subnets.iter().map(IpNet::to_string).collect();
    listed(texts.iter().map(String::as_str))
}

/// Sorted by first address, a network can only overlap one that began before it and has not ended: one pass, also for
/// thousands of sites.
fn overlapping_subnets(sites: &[Declared<SiteDoc>]) -> Vec<Finding> {
    let mut all = Vec::new();
    for site in sites {
        let subnets = site.doc.subnets.iter().enumerate();
        all.extend(subnets.map(|(index, subnet)| Owned { subnet: *subnet, index, site }));
    }
    all.sort_by_key(|owned| (owned.subnet.network(), owned.subnet.prefix_len()));
    let mut findings = Vec::new();
    let mut widest: Option<&Owned<'_>> = None;
    for owned in &all {
        match widest {
            Some(wide) if wide.last() >= owned.subnet.network() && wide.is_family_of(owned) => {
                findings.extend(overlap(wide, owned));
            }
            _ => widest = Some(owned),
        }
    }
    findings
}

struct Owned<'d> {
    subnet: IpNet,
    index: usize,
    site: &'d Declared<SiteDoc>,
}

impl Owned<'_> {
    fn last(&self) -> IpAddr {
        self.subnet.broadcast()
    }

    fn is_family_of(&self, other: &Self) -> bool {
        self.last().is_ipv4() == other.last().is_ipv4()
    }
}

fn overlap(wide: &Owned<'_>, narrow: &Owned<'_>) -> Option<Finding> {
    // Within one site it does no harm, and the same site written twice is a duplicate name, which says so.
    if wide.site.doc.name == narrow.site.doc.name {
        return None;
    }
    // The later document is at fault, whichever network is wider.
    let order = |owned: &Owned<'_>| (owned.site.id, owned.index);
    let (earlier, later) = if order(wide) < order(narrow) { (wide, narrow) } else { (narrow, wide) };
    let at = |owned: &Owned<'_>| owned.site.at(format!("/subnets/{}", owned.index));
    let message = format!("{} overlaps {} of site `{}`", later.subnet, earlier.subnet, earlier.site.doc.name);
    let finding = Finding::error("overlapping-subnets", at(later), message)
        .hint("an address must say by itself at which site it is: make the networks disjoint")
        .related(at(earlier), "first declared here");
    Some(finding)
}
