use std::collections::BTreeMap;

use super::View;
use crate::core::inventory::doc::{SiteDoc, TunnelDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::model::{InterfaceName, PeerKey};

/// `duplicate-peer`, `empty-tunnel`, `gateway-elsewhere`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let sites = &view.documents.sites;
    let mut findings: Vec<Finding> = sites.iter().filter_map(empty_tunnel).collect();
    findings.extend(sites.iter().filter_map(|site| gateway_elsewhere(view, site)));
    findings.extend(duplicate_peers(sites));
    findings
}

fn empty_tunnel(site: &Declared<SiteDoc>) -> Option<Finding> {
    let TunnelDoc { wireguard: None, gateway: None } = site.doc.tunnel.as_ref()? else { return None };
    let message = "the tunnel says neither `wireguard` nor `gateway`, so nothing can be known of it";
    let hint = "add `gateway: 10.200.1.1`, with a machine at the far end, or the WireGuard peer; or remove `tunnel`";
    Some(Finding::error("empty-tunnel", site.at("/tunnel"), message).hint(hint))
}

/// A gateway may lie outside of every site, in the tunnel's own network. At another site it would tell of that one.
fn gateway_elsewhere(view: &View<'_>, site: &Declared<SiteDoc>) -> Option<Finding> {
    let gateway = site.doc.tunnel.as_ref()?.gateway?.ip();
    let is_home = |other: &&Declared<SiteDoc>| other.doc.subnets.iter().any(|subnet| subnet.contains(&gateway));
    if is_home(&site) {
        return None;
    }
    let other = view.sites.values().copied().find(is_home).filter(|other| other.doc.name != site.doc.name)?;
    let message = format!("{gateway} is at site `{}`, so it tells nothing of the tunnel to this one", other.doc.name);
    let finding = Finding::error("gateway-elsewhere", site.at("/tunnel/gateway"), message)
        .hint("write a machine of this site, or the far end of its tunnel")
        .related(other.at("/subnets"), format!("the subnets of `{}`", other.doc.name));
    Some(finding)
}

/// Two sites behind one tunnel fail together. That may be so; more often a key was copied with a file.
fn duplicate_peers(sites: &[Declared<SiteDoc>]) -> Vec<Finding> {
    let mut first: BTreeMap<(&InterfaceName, &PeerKey), &Declared<SiteDoc>> = BTreeMap::new();
    let mut findings = Vec::new();
    for site in sites {
        let Some(peer) = site.doc.tunnel.as_ref().and_then(|tunnel| tunnel.wireguard.as_ref()) else { continue };
        match first.get(&(&peer.interface, &peer.peer)) {
            None => _ = first.insert((&peer.interface, &peer.peer), site),
            // The same name twice is reported as that.
            Some(earlier) if earlier.doc.name == site.doc.name => {}
            Some(earlier) => {
                let message = format!("site `{}` is this peer already", earlier.doc.name);
                let finding = Finding::warning("duplicate-peer", site.at("/tunnel/wireguard/peer"), message)
                    .hint("write each site's own key; what shares a tunnel is cut off together, and is one site")
                    .related(earlier.at("/tunnel/wireguard/peer"), "first declared here");
                findings.push(finding);
            }
        }
    }
    findings
}
