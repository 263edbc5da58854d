use std::collections::BTreeMap;

use super::json::HostMatcher;
use crate::core::inventory::Service;
use crate::core::model::{Hostname, PathPrefix, ServiceName};
use crate::core::routing::Effective;

/// Which services claim which hosts and paths, so that each service's matcher can leave out what another one claims more
/// exactly: an exact host beats a wildcard, then the longer path beats the shorter.
///
/// Every service is one route, and no two routes match the same request. Their order means nothing, and a service that is
/// added moves no other one.
#[derive(Debug, Default)]
pub struct Overlaps {
    claims: BTreeMap<Hostname, Vec<(PathPrefix, ServiceName)>>,
    exact_under: BTreeMap<Hostname, Vec<Hostname>>,
}

impl Overlaps {
    /// Collects the claims of all services.
    pub fn of(effective: &Effective) -> Self {
        let mut overlaps = Self::default();
        for service in effective.services.values() {
            for host in &service.service.domains {
                let claims = overlaps.claims.entry(host.clone()).or_default();
                claims.extend(service.service.paths.iter().map(|path| (path.clone(), service.service.name.clone())));
            }
        }
        for host in overlaps.claims.keys() {
            if let Some(wildcard) = host.covering_wildcard().filter(|wildcard| overlaps.claims.contains_key(wildcard)) {
                overlaps.exact_under.entry(wildcard).or_default().push(host.clone());
            }
        }
        overlaps
    }

    /// The matcher sets of a service's route: one set for all hosts and paths, or, where others claim parts of them, one
    /// for each host and path with what is not its own left out.
    pub(super) fn matchers<'e>(&'e self, service: &'e Service) -> Vec<HostMatcher<'e>> {
        let pairs = || service.domains.iter().flat_map(|host| service.paths.iter().map(move |path| (host, path)));
        if pairs().all(|(host, path)| self.claimed_by_others(service, host, path).is_empty()) {
            return vec![matcher(service.domains.iter().collect(), &service.paths)];
        }
        let exact_matcher = |(host, path): (&'e Hostname, &'e PathPrefix)| {
            let others = self.claimed_by_others(service, host, path);
            let not = others.into_iter().map(|(path, hosts)| matcher(hosts, std::slice::from_ref(path))).collect();
            HostMatcher { not, ..matcher(vec![host], std::slice::from_ref(path)) }
        };
        pairs().map(exact_matcher).collect()
    }

    /// What other services claim more exactly within `host` and `path`: hosts by path.
    fn claimed_by_others<'a>(
        &'a self,
        service: &Service,
        host: &'a Hostname,
        path: &PathPrefix,
    ) -> BTreeMap<&'a PathPrefix, Vec<&'a Hostname>> {
        let mut others: BTreeMap<&PathPrefix, Vec<&Hostname>> = BTreeMap::new();
        for (claimed, owner) in self.claims.get(host).into_iter().flatten() {
            if *owner != service.name && claimed != path && covers(path, claimed) {
                others.entry(claimed).or_default().push(host);
            }
        }
        for exact in self.exact_under.get(host).into_iter().flatten() {
            for (claimed, owner) in &self.claims[exact] {
                if *owner != service.name && (covers(path, claimed) || covers(claimed, path)) {
                    others.entry(claimed).or_default().push(exact);
                }
            }
        }
        others
    }
}

/// True when every path under `inner` is under `outer`.
fn covers(outer: &PathPrefix, inner: &PathPrefix) -> bool {
    let rest = inner.as_str().strip_prefix(outer.as_str());
    outer.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn matcher<'e>(host: Vec<&'e Hostname>, paths: &[PathPrefix]) -> HostMatcher<'e> {
    // `/api*` would match `/apiary` too; Caddy needs both forms.
    let both = |path: &PathPrefix| [path.to_string(), format!("{path}/*")];
    let is_all = paths.iter().any(PathPrefix::is_root);
    let path = if is_all { Vec::new() } else { paths.iter().flat_map(both).collect() };
    HostMatcher { host, not: Vec::new(), path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cover_whole_segments() {
        let path = |text: &str| -> PathPrefix { text.parse().expect("a path") };
        for (outer, inner, expected) in [
            ("/", "/", true),
            ("/", "/api", true),
            ("/api", "/api", true),
            ("/api", "/api/v1", true),
            ("/api", "/apiary", false),
            ("/api/v1", "/api", false),
        ] {
            assert_eq!(covers(&path(outer), &path(inner)), expected, "{outer} {inner}");
        }
    }
}
