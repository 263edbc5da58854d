//! What an edge runs in place of a service that it refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use bascule::core::health::Verdict;
use bascule::core::routing::{Effective, EffectiveService};
use serde_json::Value;

use crate::support::inventory::{PLAIN_EDGE, Texts, desired, merge, observed, render};

const BEFORE: Texts<'_> = Texts {
    edges: PLAIN_EDGE,
    services: "{name: api, domains: [api.example.org, old.example.org]}\n---\n{name: www, domains: [www.example.org]}",
    backends: "{name: api-1, service: api, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
               {name: api-2, service: api, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
               {name: www-1, service: www, site: dijon, addr: 127.1.0.3, port: 80}",
};

/// Services move: `www` takes a name that `api` leaves, and `api` has another backend in place of one.
const AFTER: Texts<'_> = Texts {
    services: "{name: api, domains: [api.example.org, new.example.org]}\n---\n\
               {name: www, domains: [www.example.org, old.example.org]}",
    backends: "{name: api-1, service: api, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
               {name: api-3, service: api, site: dijon, addr: 127.1.0.4, port: 80}\n---\n\
               {name: www-1, service: www, site: dijon, addr: 127.1.0.3, port: 80}",
    ..BEFORE
};

fn effective(texts: Texts<'_>, verdict: impl Fn(&str) -> Verdict) -> Effective {
    let desired = desired(texts);
    merge(&desired, &observed(&desired, verdict))
}

/// Each route of the edge: its service, hosts and first upstreams.
fn routes(effective: &Effective) -> Vec<String> {
    let edge = desired(BEFORE).edges.into_values().next().expect("an edge");
    let config = render(effective, &edge).config();
    let routes = config["apps"]["http"]["servers"]["bascule-http"]["routes"].as_array().cloned().unwrap_or_default();
    let named = routes.iter().filter(|route| route["@id"].is_string());
    named
        .map(|route| format!("{} {} {}", route["@id"], route["match"][0]["host"], upstreams(route).join(" ")))
        .collect()
}

/// Whom the first proxy of a route dials.
fn upstreams(value: &Value) -> Vec<String> {
    if let Some(upstreams) = value["upstreams"].as_array() {
        return upstreams.iter().map(|upstream| upstream["dial"].as_str().unwrap_or_default().to_owned()).collect();
    }
    let inner = ["handle", "routes"].into_iter().filter_map(|key| value[key].as_array()).flatten();
    inner.map(upstreams).find(|found| !found.is_empty()).unwrap_or_default()
}

fn with(now: &Effective, stand_in: Option<&Arc<EffectiveService>>) -> Effective {
    now.with(&BTreeMap::from([("api".parse().expect("a name"), stand_in.cloned())]))
}

#[test]
fn a_refused_service_stays_as_it_was_beside_the_others_as_they_are() {
    let before = effective(BEFORE, |_| Verdict::Up);
    let api = before.services.values().next().expect("api is the first");
    let now = effective(AFTER, |_| Verdict::Up);
    assert_eq!(
        routes(&with(&now, Some(api))),
        [
            r#""service-api" ["api.example.org"] 127.1.0.1:80 127.1.0.2:80"#,
            r#""service-www" ["old.example.org","www.example.org"] 127.1.0.3:80"#,
        ]
    );
    // What is known of a backend that there still is counts.
    let down = effective(AFTER, |name| if name == "api-1" { Verdict::Down } else { Verdict::Up });
    assert_eq!(routes(&with(&down, Some(api)))[0], r#""service-api" ["api.example.org"] 127.1.0.2:80"#);
    // A new one is left out, and one that is gone stays so.
    assert_eq!(routes(&with(&now, None)).len(), 1);
    let gone = Effective { services: now.services.iter().skip(1).map(|(k, v)| (k.clone(), v.clone())).collect() };
    assert_eq!(with(&gone, Some(api)), gone);
}

#[test]
fn what_is_declared_tells_whether_a_service_is_another_now() {
    let declared = |texts, verdict: Verdict| {
        let services = effective(texts, |_| verdict).services;
        services.values().map(|service| service.declared()).collect::<Vec<_>>()
    };
    assert_eq!(declared(BEFORE, Verdict::Up), declared(BEFORE, Verdict::Down));
    let (before, after) = (declared(BEFORE, Verdict::Up), declared(AFTER, Verdict::Up));
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
}
