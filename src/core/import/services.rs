//! Leaves become services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::claims::Leaf;
use super::proxy::{self, Proxy};
use crate::core::model::{Hostname, PathPrefix};

/// A service to be.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) domains: Vec<Hostname>,
    pub(super) paths: Vec<PathPrefix>,
    pub(super) proxy: Proxy,
    pub(super) server: String,
    /// Prefixes of which Caddy's pattern did not match the prefix itself.
    pub(super) widened: BTreeSet<PathPrefix>,
}

/// Hosts, paths, and those of the paths that became wider.
type Claim = (Vec<Hostname>, Vec<PathPrefix>, BTreeSet<PathPrefix>);

/// Makes services of all leaves that can be; the others get a note.
pub(super) fn plan(leaves: &[Leaf<'_>], notes: &mut BTreeMap<String, String>) -> Vec<Planned> {
    let mut services: Vec<Planned> = Vec::new();
    for leaf in leaves {
        if let Err(why) = add(&mut services, leaf, notes) {
            notes.insert(leaf.at.clone(), format!("left out: {why}"));
        }
    }
    let mut names = BTreeSet::new();
    for service in &mut services {
        service.name =
            super::names::unique(&super::names::of_claim(&service.domains[0], &service.paths[0]), &mut names);
    }
    services
}

fn add(services: &mut Vec<Planned>, leaf: &Leaf<'_>, notes: &mut BTreeMap<String, String>) -> Result<(), String> {
    if let Some(fault) = &leaf.fault {
        return Err(fault.clone());
    }
    let (domains, paths, widened) = claim(leaf)?;
    let (proxy, found) = proxy::read(leaf.handler, &leaf.at)?;
    let same = |service: &&mut Planned| {
        let is_product = service.domains == domains || service.paths == paths;
        service.proxy == proxy && service.server == leaf.server && is_product
    };
    let claimed = services.iter().find(|it| {
        it.domains.iter().any(|host| domains.contains(host)) && it.paths.iter().any(|path| paths.contains(path))
    });
    if let Some(other) = claimed {
        return Err(format!("{} has another route to other upstreams already", other.domains[0]));
    }
    if let Some(service) = services.iter_mut().find(same) {
        extend(&mut service.domains, domains);
        extend(&mut service.paths, paths);
        service.widened.extend(widened);
    } else {
        let used: BTreeSet<SocketAddr> = services.iter().flat_map(|it| &it.proxy.upstreams).map(|it| it.0).collect();
        if let Some((taken, _)) = proxy.upstreams.iter().find(|(address, _)| used.contains(address)) {
            return Err(format!(
                "{taken} is the upstream of another route with other hosts, paths or settings, and an inventory has each \
                 address once"
            ));
        }
        let server = leaf.server.clone();
        services.push(Planned { name: String::new(), domains, paths, proxy, server, widened });
    }
    for (at, why) in found {
        notes.insert(at, why);
    }
    Ok(())
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// The hosts and paths of a leaf, as an inventory says them.
fn claim(leaf: &Leaf<'_>) -> Result<Claim, String> {
    let Some(hosts) = &leaf.scope.hosts else {
        return Err("it is for every host, and a service names its domains".to_owned());
    };
    let domains = hosts
        .iter()
        .map(|host| host.parse::<Hostname>().map_err(|_| format!("`{host}` is no host name that an inventory takes")));
    let domains: Vec<_> = domains.collect::<Result<_, _>>()?;
    let mut paths = BTreeSet::new();
    let mut widened = BTreeSet::new();
    let patterns = leaf.scope.paths.as_deref().unwrap_or_default();
    for pattern in patterns.iter().filter(|it| !matches!(it.as_str(), "*" | "/*")) {
        let prefix = pattern.strip_suffix("/*");
        let text = prefix.unwrap_or(pattern);
        let parsed = text.parse::<PathPrefix>().ok().filter(|it| it.as_str() == text);
        let is_prefix = prefix.is_some() || patterns.contains(&format!("{text}/*"));
        let Some(path) = parsed.filter(|_| is_prefix) else {
            return Err(format!("the path `{pattern}` is no prefix of whole segments such as `/api/*`"));
        };
        if prefix.is_some() && !patterns.iter().any(|it| it == text) {
            widened.insert(path.clone());
        }
        paths.insert(path);
    }
    let is_all = patterns.is_empty() || patterns.iter().any(|it| matches!(it.as_str(), "*" | "/*"));
    let paths = if is_all { vec![PathPrefix::root()] } else { paths.into_iter().collect() };
    Ok((domains, paths, widened))
}
