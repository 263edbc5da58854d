use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::core::model::{Digest, Hostname, PathPrefix};

/// Longest name that an inventory takes.
const NAME_MAX: usize = 63;
/// Of a digest, in a name that would be too long.
const DIGEST_CHARS: usize = 8;

/// A service's name: `api.example.org` and `/v1` are `api-example-org-v1`.
pub(super) fn of_claim(host: &Hostname, path: &PathPrefix) -> String {
    fitted(&format!("{}{}", host.as_str().replace('*', "any"), path))
}

/// A backend's name: its service, its address and its port.
pub(super) fn of_backend(service: &str, address: SocketAddr) -> String {
    fitted(&format!("{service}-{}-{}", address.ip(), address.port()))
}

/// The network that an address is taken to be a site by: /24 or /64.
pub(super) fn network(ip: IpAddr) -> Option<IpNet> {
    let bits = if ip.is_ipv4() { 24 } else { 64 };
    IpNet::new(ip, bits).ok().map(|net| net.trunc())
}

/// A site's name: `site-10-200-1`, or `site-fd00-200-1-0`.
pub(super) fn of_network(network: &IpNet) -> String {
    match network.addr() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("site-{a}-{b}-{c}")
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("site-{a:x}-{b:x}-{c:x}-{d:x}")
        }
    }
}

/// The name, or the first of `name-2`, `name-3` … that is free.
pub(super) fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| {
        let end = format!("-{number}");
        format!("{}{end}", name[..name.len().min(NAME_MAX - end.len())].trim_end_matches('-'))
    });
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_else(|| name.to_owned());
    taken.insert(free.clone());
    free
}

/// A text as a name. One that is too long ends with a digest, so that it stays the same and another one.
fn fitted(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }) {
        if c != '-' || !name.ends_with('-') {
            name.push(c);
        }
    }
    let name = name.trim_matches('-');
    if name.len() <= NAME_MAX {
        return name.to_owned();
    }
    let digest = Digest::of(text.as_bytes());
    let start = name[..NAME_MAX - 1 - DIGEST_CHARS].trim_end_matches('-');
    format!("{start}-{}", &digest.as_str()[digest.as_str().len() - DIGEST_CHARS..])
}
