//! Exactly the service that the rule names gets a request: an exact host beats a wildcard, then the longest path wins.

use std::fmt::Write as _;

use bascule::core::inventory::Desired;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::matchers::matching;
use super::real_caddy::RealCaddy;
use crate::support::inventory::{PLAIN_EDGE, Texts, desired, merge, observed, render};

const DOMAINS: [&str; 7] = [
    "example.org",
    "*.example.org",
    "a.example.org",
    "b.example.org",
    "*.a.example.org",
    "x.a.example.org",
    "*.x.a.example.org",
];
const PATHS: [&str; 8] = ["/", "/api", "/api/v1", "/api/v1/x", "/API/V2", "/apiary", "/docs", "/docs/~a"];

const HOSTS_ASKED: [&str; 9] = [
    "example.org",
    "a.example.org",
    "A.Example.ORG",
    "b.example.org",
    "c.example.org",
    "x.a.example.org",
    "y.a.example.org",
    "z.x.a.example.org",
    "example.net",
];
const PATHS_ASKED: [&str; 14] = [
    "/",
    "/api",
    "/api/",
    "/API",
    "/api/v1",
    "/api/v1/x/y",
    "/api/v10",
    "/api/v2",
    "/api/V2/z",
    "/apiary",
    "/apiary/bees",
    "/docs/~a/b",
    "/docs.html",
    "/other",
];

/// One service: its domains and paths.
type Claims = (Vec<&'static str>, Vec<&'static str>);

/// Up to six services of which no two claim the same host and path, since such an inventory is refused.
fn services() -> impl Strategy<Value = Vec<Claims>> {
    let one = (prop::sample::subsequence(&DOMAINS[..], 1..4), prop::sample::subsequence(&PATHS[..], 1..4));
    prop::collection::vec(one, 1..=6).prop_map(|all| {
        let mut taken: Vec<(&str, &str)> = Vec::new();
        let pairs = |(hosts, paths): &Claims| -> Vec<(&'static str, &'static str)> {
            hosts.iter().flat_map(|host| paths.iter().map(move |path| (*host, *path))).collect()
        };
        let mut kept = Vec::new();
        for claims in all {
            let pairs = pairs(&claims);
            if pairs.iter().all(|pair| !taken.contains(pair)) {
                taken.extend(pairs);
                kept.push(claims);
            }
        }
        kept
    })
}

fn inventory(services: &[Claims]) -> Desired {
    let (mut documents, mut backends) = (String::new(), String::new());
    for (number, (hosts, paths)) in services.iter().enumerate() {
        let hosts: Vec<_> = hosts.iter().map(|host| format!("'{host}'")).collect();
        let (hosts, paths) = (hosts.join(", "), paths.join(", "));
        let _ = writeln!(
            documents,
            "---\n{{name: s{number}, domains: [{hosts}], paths: [{paths}], health: {{type: tcp}}}}"
        );
        let _ = writeln!(
            backends,
            "---\n{{service: s{number}, name: b{number}, site: dijon, addr: 127.1.0.1, port: {}}}",
            8000 + number
        );
    }
    desired(Texts { edges: PLAIN_EDGE, services: &documents, backends: &backends })
}

fn config(services: &[Claims]) -> Value {
    let desired = inventory(services);
    let effective = merge(&desired, &observed(&desired, |_| bascule::core::health::Verdict::Up));
    render(&effective, desired.edges.values().next().expect("an edge")).config()
}

/// The rule, in its own words: of all claims that take a request, the exact host before the wildcard, then the longest path.
fn named_by_the_rule(services: &[Claims], host: &str, path: &str) -> Option<String> {
    let (host, path) = (host.to_ascii_lowercase(), path.to_ascii_lowercase());
    let takes_host = |domain: &str| match domain.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => host == domain,
    };
    let takes_path = |prefix: &str| {
        let prefix = prefix.to_ascii_lowercase();
        prefix == "/" || path.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let claims = (0..).zip(services).flat_map(|(number, (hosts, paths))| {
        hosts.iter().flat_map(move |host| paths.iter().map(move |path| (number, *host, *path)))
    });
    claims
        .filter(|(_, host, path)| takes_host(host) && takes_path(path))
        .max_by_key(|(_, host, path)| (!host.starts_with('*'), path.len()))
        .map(|(number, _, _): (usize, _, _)| format!("service-s{number}"))
}

proptest! {
    #[test]
    fn exactly_the_named_service_matches(services in services()) {
        let config = config(&services);
        for host in HOSTS_ASKED {
            for path in PATHS_ASKED {
                let named: Vec<_> = named_by_the_rule(&services, host, path).into_iter().collect();
                prop_assert_eq!(matching(&config, host, path), named, "{}{} in {:#?}", host, path, services);
            }
        }
    }
}

/// The evaluator above is right, and Caddy reads the matchers like it: the same requests, over the wire.
#[tokio::test]
async fn a_real_caddy_agrees() {
    let caddy = RealCaddy::start().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let mut runner = TestRunner::deterministic();
    let mut answered = 0;
    for _ in 0..20 {
        let services = services().new_tree(&mut runner).expect("a set of services").current();
        caddy.load_answering(config(&services)).await;
        for host in HOSTS_ASKED {
            for path in PATHS_ASKED {
                let named = named_by_the_rule(&services, host, path);
                answered += usize::from(named.is_some());
                let expected = named.unwrap_or_else(|| "nobody".to_owned());
                assert_eq!(caddy.answer(&client, host, path).await, expected, "{host}{path} in {services:#?}");
            }
        }
    }
    assert!(answered > 100, "only {answered} requests had a service");
}

/// Caddy compares paths without regard to case, so a prefix that differs only in it is the same prefix.
#[test]
fn prefixes_that_differ_in_case_are_one() {
    use bascule::core::inventory::load;
    use bascule::core::model::Revision;
    let texts = Texts {
        edges: PLAIN_EDGE,
        services: "{name: a, domains: [example.org], paths: [/api], health: {type: tcp}}\n---\n\
                   {name: b, domains: [example.org], paths: [/API], health: {type: tcp}}\n",
        backends: "{service: a, name: a1, site: dijon, addr: 127.1.0.1, port: 1}\n---\n\
                   {service: b, name: b1, site: dijon, addr: 127.1.0.1, port: 2}\n",
    };
    let loaded = load(&crate::support::inventory::files(texts), Revision::new("test"));
    let codes: Vec<_> = loaded.diagnostics.iter().map(|it| it.code).collect();
    assert!(codes.contains(&"duplicate-domain"), "{codes:?}");
}
