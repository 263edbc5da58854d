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
    /// Claims by host.
    claims: BTreeMap<Hostname, Claims>,
    /// Claims of the exact hosts under a wildcard that is claimed too, by that wildcard.
    exact_under: BTreeMap<Hostname, Claims>,
}

impl Overlaps {
    /// Collects the claims of all services.
    pub fn of(effective: &Effective) -> Self {
        let services = effective.services.values().map(|effective| &effective.service);
        Self::of_claims(services.map(|service| (&service.name, &*service.domains, &*service.paths)))
    }

    fn of_claims<'s>(services: impl Iterator<Item = (&'s ServiceName, &'s [Hostname], &'s [PathPrefix])>) -> Self {
        let mut overlaps = Self::default();
        for (owner, hosts, paths) in services {
            for host in hosts {
                let claim = |path: &PathPrefix| Claim { path: path.clone(), host: host.clone(), owner: owner.clone() };
                overlaps.claims.entry(host.clone()).or_default().0.extend(paths.iter().map(claim));
            }
        }
        for (host, claims) in &overlaps.claims {
            if let Some(wildcard) = host.covering_wildcard().filter(|wildcard| overlaps.claims.contains_key(wildcard)) {
                overlaps.exact_under.entry(wildcard).or_default().0.extend_from_slice(&claims.0);
            }
        }
        for claims in overlaps.claims.values_mut().chain(overlaps.exact_under.values_mut()) {
            claims.sort();
        }
        overlaps
    }

    /// The matcher sets of a service's route: one set for all hosts and paths, or, where others claim parts of them, one
    /// for each host and path with what is not its own left out.
    pub(super) fn matchers<'e>(&'e self, service: &'e Service) -> Vec<HostMatcher<'e>> {
        let pairs = || service.domains.iter().flat_map(|host| service.paths.iter().map(move |path| (host, path)));
        if pairs().all(|(host, path)| self.claimed_by_others(&service.name, host, path).is_empty()) {
            return vec![matcher(service.domains.iter().collect(), &service.paths)];
        }
        let exact_matcher = |(host, path): (&'e Hostname, &'e PathPrefix)| {
            let others = self.claimed_by_others(&service.name, host, path);
            let not = others.into_iter().map(|(path, hosts)| matcher(hosts, std::slice::from_ref(path))).collect();
            HostMatcher { not, ..matcher(vec![host], std::slice::from_ref(path)) }
        };
        pairs().map(exact_matcher).collect()
    }

    /// What other services claim more exactly within `host` and `path`: hosts by path.
    fn claimed_by_others<'a>(
        &'a self,
        service: &ServiceName,
        host: &Hostname,
        path: &PathPrefix,
    ) -> BTreeMap<&'a PathPrefix, Vec<&'a Hostname>> {
        let longer = self.claims.get(host).into_iter().flat_map(|claims| claims.below(path));
        let exact = self.exact_under.get(host).into_iter();
        let exact = exact.flat_map(|claims| claims.above(path).chain(claims.at(path)).chain(claims.below(path)));
        let mut others: BTreeMap<&PathPrefix, Vec<&Hostname>> = BTreeMap::new();
        for claim in longer.chain(exact).filter(|claim| claim.owner != *service) {
            others.entry(&claim.path).or_default().push(&claim.host);
        }
        others
    }
}

/// Who answers a path of a host.
#[derive(Debug, Clone)]
struct Claim {
    path: PathPrefix,
    host: Hostname,
    owner: ServiceName,
}

/// Claims sorted by path, so that those around a path are found without a look at all the others: a host may have
/// thousands of paths, each of another service.
#[derive(Debug, Default)]
struct Claims(Vec<Claim>);

impl Claims {
    fn sort(&mut self) {
        // Stable: claims of the same path stay in the order of their hosts and services.
        self.0.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// The claims of exactly `path`.
    fn at(&self, path: &PathPrefix) -> &[Claim] {
        self.between(path.as_str(), |claimed| claimed <= path.as_str())
    }

    /// The claims of longer paths under `path`.
    fn below(&self, path: &PathPrefix) -> &[Claim] {
        if path.is_root() {
            return &self.0[self.at(path).len()..]; // It is the shortest, so it comes first.
        }
        // What begins with `/api/` stands together, though `/api-v2` stands between it and `/api`.
        let start = format!("{path}/");
        self.between(&start, |claimed| claimed.starts_with(&start))
    }

    /// The claims of shorter paths that `path` is under.
    fn above(&self, path: &PathPrefix) -> impl Iterator<Item = &Claim> {
        let text = path.as_str();
        let slashes = text.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/').map(|(index, _)| index);
        let root = (!path.is_root()).then_some("/");
        let shorter = root.into_iter().chain(slashes.map(|end| &text[..end]));
        shorter.flat_map(|shorter| self.between(shorter, |claimed| claimed <= shorter))
    }

    /// The claims from `start` on, as long as `is_in` holds for their paths.
    fn between(&self, start: &str, is_in: impl Fn(&str) -> bool) -> &[Claim] {
        let from = self.0.partition_point(|claim| claim.path.as_str() < start);
        let rest = &self.0[from..];
        &rest[..rest.partition_point(|claim| is_in(claim.path.as_str()))]
    }
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
    use proptest::prelude::*;

    use super::*;

    /// A service's name, hosts and paths.
    type Service = (ServiceName, Vec<Hostname>, Vec<PathPrefix>);

    fn overlaps(services: &[Service]) -> Overlaps {
        Overlaps::of_claims(services.iter().map(|(name, hosts, paths)| (name, &**hosts, &**paths)))
    }

    /// True when every path under `inner` is under `outer`.
    fn covers(outer: &PathPrefix, inner: &PathPrefix) -> bool {
        let rest = inner.as_str().strip_prefix(outer.as_str());
        outer.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What others claim, by its definition: every claim of every other service is looked at.
    fn claimed_by_others<'a>(
        services: &'a [Service],
        service: &ServiceName,
        host: &Hostname,
        path: &PathPrefix,
    ) -> BTreeMap<&'a PathPrefix, Vec<&'a Hostname>> {
        let mut others: BTreeMap<&PathPrefix, Vec<&Hostname>> = BTreeMap::new();
        for (_, hosts, paths) in services.iter().filter(|(name, ..)| name != service) {
            for (claimed_host, claimed) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path))) {
                let is_longer = claimed_host == host && claimed != path && covers(path, claimed);
                let is_exact = claimed_host.covering_wildcard().as_ref() == Some(host);
                if is_longer || (is_exact && (covers(path, claimed) || covers(claimed, path))) {
                    others.entry(claimed).or_default().push(claimed_host);
                }
            }
        }
        others
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().expect("it is well-formed")
    }

    fn services() -> impl Strategy<Value = Vec<Service>> {
        let hosts = ["*.example.org", "a.example.org", "b.example.org", "example.org"];
        // `-` and `.` sort before `/`, and letters after it.
        let segment = prop::sample::select(vec!["a", "a-b", "a.b", "ab", "b"]);
        let path = prop::collection::vec(segment, 0..4).prop_map(|segments| parse(&format!("/{}", segments.join("/"))));
        let paths = prop::collection::btree_set(path, 1..6).prop_map(|paths| paths.into_iter().collect());
        let hosts = prop::sample::subsequence(hosts.map(parse).to_vec(), 1..=hosts.len());
        let names = |claims: Vec<(Vec<Hostname>, Vec<PathPrefix>)>| {
            (0..).zip(claims).map(|(number, (hosts, paths))| (parse(&format!("s{number:02}")), hosts, paths)).collect()
        };
        prop::collection::vec((hosts, paths), 1..12).prop_map(names)
    }

    proptest! {
            #[test]
            fn what_others_claim_is_found_as_defined(services in services()) {
                let overlaps = overlaps(&services);
                for (name, hosts, paths) in &services {
                    for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path))) {
                        let mut expected = claimed_by_others(&services, name, host, path);
                        for hosts in expected.values_mut() {
     hosts.sort();
    }
                        let mut found = overlaps.claimed_by_others(name, host, path);
                        for hosts in found.values_mut() {
     hosts.sort();
    }
                        prop_assert_eq!(found, expected, "{} {}{}", name, host, path);
                    }
                }
            }
        }

    #[test]
    fn prefixes_cover_whole_segments() {
        let claims = ["/", "/api", "/api-v2", "/api/v1", "/api/v1/users", "/apiary"];
        let services =
            claims.map(|path| (parse(&path.replace('/', "x")), vec![parse("example.org")], vec![parse(path)]));
        let overlaps = overlaps(&services);
        for (path, expected) in [
            ("/", &claims[1..]),
            ("/api", &["/api/v1", "/api/v1/users"]),
            ("/api/v1", &["/api/v1/users"]),
            ("/apiary", &[]),
            ("/nothing", &[]),
        ] {
            let found = overlaps.claimed_by_others(&parse("other"), &parse("example.org"), &parse(path));
            assert_eq!(found.into_keys().map(PathPrefix::as_str).collect::<Vec<_>>(), expected, "{path}");
        }
    }

    /// 50,000 paths of one host: each against each would be 2.5 billion comparisons, a minute even in a release build.
    #[test]
    fn many_paths_of_one_host_are_no_matter() {
        let service = |number: usize| {
            (parse(&format!("s{number}")), vec![parse("example.org")], vec![parse(&format!("/p/{number}"))])
        };
        let services: Vec<Service> = (0..50_000).map(service).collect();
        let overlaps = overlaps(&services);
        let none = |(name, hosts, paths): &Service| overlaps.claimed_by_others(name, &hosts[0], &paths[0]).is_empty();
        assert!(services.iter().all(none));
        let all = overlaps.claimed_by_others(&parse("root"), &parse("example.org"), &parse("/p"));
        assert_eq!(all.len(), services.len());
    }
}
