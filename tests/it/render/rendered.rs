//! What is rendered, case by case, and that a real Caddy takes it.

use std::collections::BTreeSet;

use bascule::core::caddy::{Rendered, compare, diff};
use bascule::core::health::Verdict;
use bascule::core::inventory::BackendState;
use bascule::core::model::FileSet;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::real_caddy::RealCaddy;
use crate::support::inventory::{PLAIN_EDGE, Texts, desired, desired_of, merge, observed, render, set_state};

/// An inventory with one edge, and the backends of it that are down.
#[derive(Debug)]
struct Case {
    name: &'static str,
    texts: Texts<'static>,
    down: &'static [&'static str],
}

const SERVICE: &str = "name: www\ndomains: [www.acecinema.fr]\nhealth: {path: /health, interval: 5s, timeout: 1s}\n";
const BACKENDS: &str = "{service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.23, port: 8080}\n---\n\
                        {service: www, name: www-thory-1, site: thory, addr: 127.2.0.23, port: 8080}\n";
/// An edge whose checks ask bascule.
const RELAY_EDGE: &str = "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':8080']\ntls: {mode: off}\n\
                          relay: {bascule: unix//run/bascule/relay.sock}\n";
const MINIMAL: Texts<'static> = Texts { edges: PLAIN_EDGE, services: SERVICE, backends: BACKENDS };

const CASES: &[Case] = &[
    Case { name: "plain_http", texts: MINIMAL, down: &[] },
    Case {
        name: "acme_with_redirects",
        texts: Texts {
            edges: "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':443', ':80']\n\
                    tls: {mode: acme, email: ops@acecinema.fr}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "internal_on_odd_ports",
        texts: Texts {
            edges: "name: ovh\nadmin: http://127.0.0.1:2019\n\
                    listen: ['127.0.0.1:8443', 'http://:8081', 'https://[::1]:8444']\ntls: {mode: internal}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "two_times_for_an_answer",
        texts: Texts {
            edges: RELAY_EDGE,
            services: "name: www\ndomains: [www.acecinema.fr]\nrouting: {policy: priority, sites: [dijon, thory]}\n\
                       health: {path: /health, interval: 5s, timeout: 1s}\n\
                       timeouts: {response: 1s, response_unsafe: 30s}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "weights",
        texts: Texts {
            backends: "{service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.23, port: 8080, weight: 3}\n---\n\
                       {service: www, name: www-thory-1, site: thory, addr: 127.2.0.23, port: 8080}\n---\n\
                       {service: www, name: www-thory-2, site: thory, addr: 127.2.0.24, port: 8080, weight: 2}\n",
            ..MINIMAL
        },
        down: &["www-thory-1"],
    },
    Case {
        name: "https_upstreams",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr, acecinema.fr]\n\
                       health: {path: '/health?full=1', interval: 2s, timeout: 500ms, rise: 1, fall: 2, expect: {status: [204]}}\n\
                       upstream: {protocol: https, server_name: inner.acecinema.fr, verify: false}\n\
                       timeouts: {dial: 250ms, response: 30s, stream_close: 1h, drain: 2h}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "tcp_probe",
        texts: Texts { services: "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\n", ..MINIMAL },
        down: &[],
    },
    Case { name: "all_down", texts: MINIMAL, down: &["www-dijon-1", "www-thory-1"] },
    Case {
        name: "drained",
        texts: Texts {
            backends: "{service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.23, port: 8080}\n---\n\
                       {service: www, name: www-thory-1, site: thory, addr: 127.2.0.23, port: 8080, state: drain}\n---\n\
                       {service: www, name: www-thory-2, site: thory, addr: 127.2.0.24, port: 8080, state: disabled}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "paths_and_wildcards",
        texts: Texts {
            services: "{name: any, domains: ['*.acecinema.fr'], health: {type: tcp}}\n---\n\
                       {name: api, domains: [www.acecinema.fr], paths: [/api], health: {type: tcp}}\n---\n\
                       {name: api-two, domains: [www.acecinema.fr], paths: [/api/v2], health: {type: tcp}}\n---\n\
                       {name: www, domains: [www.acecinema.fr, acecinema.fr], health: {type: tcp}}\n",
            backends: "{service: any, name: any-1, site: dijon, addr: 127.1.0.1, port: 8080}\n---\n\
                       {service: api, name: api-1, site: dijon, addr: 127.1.0.2, port: 8080}\n---\n\
                       {service: api-two, name: api-two-1, site: dijon, addr: 127.1.0.3, port: 8080}\n---\n\
                       {service: www, name: www-1, site: dijon, addr: 127.1.0.4, port: 8080}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "tiers_with_a_page",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\n\
                       health: {path: /health, interval: 2s, timeout: 1s, expect: {status: [204]}}\n\
                       routing: {policy: priority, sites: [thory, dijon], sticky: cookie, when_all_down: page, \
                       page: {retry_after: 2m, html: '<style>p {color: red}</style><p>{env.HOME'}}\n",
            backends: "{service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.23, port: 8080}\n---\n\
                       {service: www, name: www-thory-1, site: thory, addr: 127.2.0.23, port: 8080, weight: 3}\n---\n\
                       {service: www, name: www-thory-2, site: thory, addr: 127.2.0.24, port: 8080}\n",
            edges: RELAY_EDGE,
        },
        down: &[],
    },
    Case {
        name: "one_at_a_time",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\n\
                       routing: {policy: single, sites: [thory, dijon]}\n",
            edges: RELAY_EDGE,
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "relayed_without_a_question_of_caddys",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\nrouting: {sticky: client_address}\n",
            edges: RELAY_EDGE,
            ..MINIMAL
        },
        down: &["www-thory-1"],
    },
    Case {
        name: "at_work",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\nmaintenance: true\n\
                       routing: {sticky: 'header:X-Tenant'}\n",
            edges: RELAY_EDGE,
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "probes_in_detail",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\n\
                       health: {path: /health, method: OPTIONS, host: inner.example.org, headers: {X-Probe: a}, \
                       interval: 4s, timeout: 2s, latency: 800ms, expect: {body: {matches: '^(ok|ready)$'}}}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "probes_in_detail_through_a_relay",
        texts: Texts {
            services: "name: www\ndomains: [www.acecinema.fr]\n\
                       health: {path: /health, method: HEAD, host: inner.example.org, headers: {X-Probe: a}, \
                       interval: 4s, timeout: 2s, latency: 800ms}\n",
            edges: RELAY_EDGE,
            ..MINIMAL
        },
        down: &[],
    },
    Case { name: "probes_with_a_secret", texts: Texts { services: SECRET, ..MINIMAL }, down: &[] },
    Case {
        name: "probes_with_a_secret_through_a_relay",
        texts: Texts { services: SECRET, edges: RELAY_EDGE, ..MINIMAL },
        down: &[],
    },
    Case {
        name: "a_part_of_a_caddy",
        texts: Texts {
            edges: "name: ovh\nadmin: http://127.0.0.1:2019\nscope: server\nlisten: [':8443', 'http://:8080']\n\
                    tls: {mode: edge}\n",
            ..MINIMAL
        },
        down: &[],
    },
    Case {
        name: "ipv6",
        texts: Texts {
            edges: "name: ovh\nadmin: 'http://[::1]:2019'\nlisten: ['http://[::1]:8080']\ntls: {mode: off}\n",
            services: "name: www\ndomains: [www.acecinema.fr]\nhealth: {type: tcp}\n",
            backends: "{service: www, name: www-dijon-1, site: dijon, addr: 'fd00:1::23', port: 8080}\n---\n\
                       {service: www, name: www-thory-1, site: thory, addr: 'fd00:2:0:0::23', port: 8080}\n",
        },
        down: &[],
    },
];

/// What Caddy is never given, it cannot ask with.
const SECRET: &str = "name: www\ndomains: [www.acecinema.fr]\n\
                      health: {path: /health, headers: {Authorization: 'Bearer ${env:WWW_TOKEN}'}}\n\
                      timeouts: {dial: 200ms}\n";

fn render_files(files: &FileSet, down: &[&str]) -> Rendered {
    let desired = desired_of(files);
    let verdict = |name: &str| if down.contains(&name) { Verdict::Down } else { Verdict::Up };
    let effective = merge(&desired, &observed(&desired, verdict));
    render(&effective, desired.edges.values().next().expect("an edge"))
}

fn rendered(case: &Case) -> Rendered {
    render_files(&crate::support::inventory::files(case.texts), case.down)
}

/// A service that its owner took out as a whole, which only the reader refuses.
fn nothing_in_service() -> Rendered {
    let mut desired = desired(MINIMAL);
    set_state(&mut desired, "www-dijon-1", BackendState::Drain);
    set_state(&mut desired, "www-thory-1", BackendState::Disabled);
    let effective = merge(&desired, &observed(&desired, |_| Verdict::Up));
    render(&effective, desired.edges.values().next().expect("an edge"))
}

#[test]
fn rendered_configurations_are_as_reviewed() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len(), "each case has its own snapshot");
    for case in CASES {
        insta::assert_json_snapshot!(case.name, rendered(case).config());
    }
    insta::assert_json_snapshot!("nothing_in_service", nothing_in_service().config());
}

/// Services `a` and `b` of two backends each, the second with more settings; or the first alone.
fn services(second: Option<&str>) -> Value {
    let mut services = vec!["{name: a, domains: [a.example.org]}".to_owned()];
    let mut backends = "{service: a, name: a-dijon, site: dijon, addr: 127.1.0.1, port: 80}\n---\n\
                        {service: a, name: a-thory, site: thory, addr: 127.2.0.1, port: 80}"
        .to_owned();
    if let Some(settings) = second {
        services.push(format!("{{name: b, domains: [b.example.org], {settings}}}"));
        backends += "\n---\n{service: b, name: b-dijon, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
                     {service: b, name: b-thory, site: thory, addr: 127.2.0.2, port: 80}";
    }
    let texts = Texts { edges: PLAIN_EDGE, services: &services.join("\n---\n"), backends: &backends };
    render_files(&crate::support::inventory::files(texts), &[]).config()
}

#[test]
fn services_that_wait_alike_share_a_sweep() {
    let sweeps = |config: &Value| {
        let named = config["apps"]["http"]["servers"]["bascule-http"]["named_routes"].as_object();
        named.expect("named routes").keys().cloned().collect::<Vec<_>>()
    };
    let (alone, alike) = (services(None), services(Some("tags: [bourgogne]")));
    assert_eq!(sweeps(&alone).len(), 1);
    assert_eq!(sweeps(&alike), sweeps(&alone));
    let other = services(Some("timeouts: {dial: 1s}"));
    assert_eq!(sweeps(&other).len(), 2);
    // A plan tells of services, and not of what they share.
    let told = |before, after| diff(before, after).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(&alone, &other), ["+ service b -> 127.1.0.2:80, 127.2.0.2:80"]);
    assert_eq!(told(&other, &alike), ["~ service b: settings"]);
    // What may be sent again goes on like all of another service.
    let patient = services(Some("timeouts: {response_unsafe: 2m}"));
    assert_eq!(sweeps(&patient).len(), 2);
    assert_eq!(told(&patient, &alike), ["~ service b: settings"]);
    let mut tampered = alone.clone();
    let server = &mut tampered["apps"]["http"]["servers"]["bascule-http"];
    server["named_routes"][&sweeps(&alone)[0]]["handle"] = json!([]);
    assert_eq!(told(&tampered, &alone), ["~ server bascule-http"]);
    let mut foreign = alone.clone();
    foreign["apps"]["http"]["servers"]["bascule-http"]["named_routes"]["mine"] = json!({});
    assert_eq!(told(&foreign, &alone), ["~ server bascule-http"]);
}

/// Each of two chains has checks of its own, and an edge makes no more of them a second for it.
#[test]
fn the_checks_of_both_chains_are_counted() {
    let backend = |number| format!("{{service: www, name: w{number}, site: dijon, addr: 127.1.0.{number}, port: 80}}");
    let backends = (1..=40).map(backend).collect::<Vec<_>>().join("\n---\n");
    let is_asked = |timeouts: &str, interval: &str| {
        let services = format!("{SERVICE}{timeouts}");
        let texts = Texts { edges: RELAY_EDGE, services: &services, backends: &backends };
        let config = render_files(&crate::support::inventory::files(texts), &[]).config().to_string();
        config.contains(&format!(r#""interval":"{interval}""#))
    };
    assert!(is_asked("", "250ms"));
    assert!(is_asked("timeouts: {response: 1s, response_unsafe: 30s}\n", "500ms"));
}

/// A real Caddy provisions every one of them, and gives back the same configuration.
#[tokio::test]
async fn a_real_caddy_takes_every_rendered_configuration() {
    let caddy = RealCaddy::start().await;
    for case in CASES {
        caddy.load(case.name, rendered(case).config()).await;
    }
    caddy.load("nothing_in_service", nothing_in_service().config()).await;
}

#[test]
fn the_digest_is_that_of_the_comparison() {
    for case in CASES {
        let rendered = rendered(case);
        let config = rendered.config();
        let Rendered { bytes, digest, .. } = rendered;
        assert_eq!(compare::canonical_bytes(&config), bytes, "{}", case.name);
        assert_eq!(compare::digest(&config), digest, "{}", case.name);
        assert_eq!(compare::digest(&compare::with_admin_of(&config, &json!({"admin": {"listen": ":1"}}))), digest);
    }
}

/// The documents of an inventory, by folder.
fn documents(texts: Texts<'_>) -> Vec<(&'static str, String)> {
    let folders = [("edges", texts.edges), ("services", texts.services), ("backends", texts.backends)];
    let split = |(folder, text): (&'static str, &str)| {
        text.split("---\n").map(|text| (folder, text.to_owned())).collect::<Vec<_>>()
    };
    folders.into_iter().flat_map(split).collect()
}

proptest! {
    /// Where a document stands in the repository is nobody's business: names decide on every order.
    #[test]
    fn the_order_of_files_changes_no_byte(
        (case, order) in prop::sample::select(CASES.iter().collect::<Vec<_>>()).prop_flat_map(|case| {
            let documents = documents(case.texts);
            (Just(case), Just(documents).prop_shuffle())
        })
    ) {
        let mut files = crate::support::inventory::files(Texts { edges: "", services: "", backends: "" });
        for folder in ["edges", "services", "backends"] {
            files.insert(format!("{folder}/all.yaml"), order.iter().filter(|(it, _)| *it == folder)
                .map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("---\n").into_bytes());
        }
        prop_assert_eq!(render_files(&files, case.down), rendered(case));
        for (number, (folder, text)) in order.iter().enumerate() {
            files.insert(format!("{folder}/all.yaml"), b"# moved\n".to_vec());
            files.insert(format!("{folder}/{number:02}/it.yaml"), text.clone().into_bytes());
        }
        prop_assert_eq!(render_files(&files, case.down), rendered(case));
    }
}

/// The words of desired state are enough to make a digest differ: nothing that is served is left out of it.
#[test]
fn every_change_of_what_is_served_changes_the_digest() {
    // Where nothing is believed in, Caddy checks nothing either: it is served like a service with a TCP probe.
    let others = CASES.iter().filter(|case| case.name != "all_down");
    let digests: BTreeSet<_> = others.map(|case| rendered(case).digest).collect();
    assert_eq!(digests.len(), CASES.len() - 1);
    let desired = desired(MINIMAL);
    let edge = desired.edges.values().next().expect("an edge");
    let by = |verdict| render(&merge(&desired, &observed(&desired, |_| verdict)), edge).digest;
    // Unknown is served like up: a start of the controller is no reason to reload.
    assert_eq!(by(Verdict::Unknown), by(Verdict::Up));
    assert_ne!(by(Verdict::Down), by(Verdict::Up));
}

/// A request has as many tries in the last link as there are backends in it. One that stood there more often would take those
/// of the others.
#[test]
fn the_sweep_comes_to_everybody_whatever_their_weights() {
    let backend = |number: u32| {
        let weight = if number == 5 { 9 } else { 1 };
        format!("{{service: www, name: www-{number}, site: dijon, addr: 127.1.0.{number}, port: 80, weight: {weight}}}")
    };
    let backends = (1..=6).map(backend).collect::<Vec<_>>().join("\n---\n");
    let services = format!("{SERVICE}routing: {{sticky: cookie}}\n");
    let desired = desired(Texts { services: &services, backends: &backends, ..MINIMAL });
    let effective = merge(&desired, &observed(&desired, |_| Verdict::Up));
    let config = render(&effective, desired.edges.values().next().expect("an edge")).config();
    let mut sweep = Vec::new();
    links(&config, &mut sweep);
    let named = config["apps"]["http"]["servers"]["bascule-http"]["named_routes"].to_string();
    assert!(!named.contains("cookie"), "a client's own backend would take all of its tries");
    let dials: Vec<_> = sweep.iter().flatten().collect();
    assert_eq!(sweep.len(), 4, "three alone, and a last one for the rest: {sweep:?}");
    assert_eq!(dials.iter().collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(dials.len(), 6, "{sweep:?}");
}

/// The upstreams of every proxy that believes nothing.
fn links(json: &Value, found: &mut Vec<Vec<String>>) {
    if json["handler"] == "reverse_proxy" && json.get("health_checks").is_none() {
        let dials = json["upstreams"].as_array().into_iter().flatten();
        found.push(dials.filter_map(|it| it["dial"].as_str().map(ToOwned::to_owned)).collect());
    }
    let object = json.as_object().into_iter().flat_map(|fields| fields.values());
    for value in object.chain(json.as_array().into_iter().flatten()) {
        links(value, found);
    }
}
