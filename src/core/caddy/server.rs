use serde_json::{Value, json};

use super::handler;
use super::matcher::Overlaps;
use super::render::{all_domains, route_id};
use crate::core::inventory::{Edge, Tls};
use crate::core::model::{HTTP_PORT, HTTPS_PORT, Listener, Scheme};
use crate::core::routing::Effective;

/// The servers of an edge: one for its TLS listeners, one for its plain ones.
///
/// They are two since Caddy decides on TLS by server: in a server with a connection policy, every listener speaks TLS
/// except one on the configured HTTP port.
pub(super) fn servers(effective: &Effective, edge: &Edge, overlaps: &Overlaps) -> Value {
    let (plain, secure) = split(edge);
    let mut servers = json!({});
    if !secure.is_empty() {
        let mut server = server(&secure, service_routes(effective, overlaps));
        server["tls_connection_policies"] = json!([{}]);
        servers["bascule-https"] = server;
    }
    if !plain.is_empty() {
        let routes = match secure.first() {
            Some(target) => redirect_routes(effective, target),
            None => service_routes(effective, overlaps),
        };
        servers["bascule-http"] = server(&plain, routes);
    }
    servers
}

/// Caddy's own idea of which ports are HTTP and HTTPS, where it is not 80 and 443: ACME's challenges go by it.
pub(super) fn scheme_ports(edge: &Edge) -> Vec<(&'static str, u16)> {
    let (plain, secure) = split(edge);
    let first = |listeners: &[&Listener]| listeners.iter().map(|listener| listener.port().get()).min();
    let mut ports = Vec::new();
    if let Some(port) = first(&plain).filter(|port| *port != HTTP_PORT && !secure.is_empty()) {
        ports.push(("http_port", port));
    }
    if let Some(port) = first(&secure).filter(|port| *port != HTTPS_PORT) {
        ports.push(("https_port", port));
    }
    ports
}

fn split(edge: &Edge) -> (Vec<&Listener>, Vec<&Listener>) {
    match edge.tls {
        Tls::Off => (edge.listen.iter().collect(), Vec::new()),
        Tls::Acme { .. } | Tls::Internal => edge.listen.iter().partition(|listener| listener.scheme() == Scheme::Http),
    }
}

fn server(listeners: &[&Listener], mut routes: Vec<Value>) -> Value {
    routes.push(unknown_host_route());
    json!({
        "listen": listeners.iter().map(|listener| listener.caddy_address()).collect::<Vec<_>>(),
        "automatic_https": { "disable": true },
        "routes": routes,
    })
}

fn service_routes(effective: &Effective, overlaps: &Overlaps) -> Vec<Value> {
    let route = |service: &std::sync::Arc<crate::core::routing::EffectiveService>| {
        json!({
            "@id": route_id(&service.service.name),
            "match": overlaps.matchers(&service.service),
            "handle": handler::handlers(service),
            "terminal": true,
        })
    };
    effective.services.values().map(route).collect()
}

/// 308 keeps method and body (RFC 9110, section 15.4.9).
fn redirect_routes(effective: &Effective, target: &Listener) -> Vec<Value> {
    let names = all_domains(effective);
    if names.is_empty() {
        return Vec::new();
    }
    let port = match target.port().get() {
        HTTPS_PORT => String::new(),
        port => format!(":{port}"),
    };
    // A redirect is cached for good by browsers unless it is told not to be; an edge whose TLS is turned off again would
    // then be out of reach for them.
    vec![json!({
        "match": [{ "host": names }],
        "handle": [{
            "handler": "static_response",
            "status_code": 308,
            "headers": {
                "Location": [format!("https://{{http.request.host}}{port}{{http.request.uri}}")],
                "Cache-Control": ["no-store"],
            },
        }],
        "terminal": true,
    })]
}

/// A host that no service has: 503 and not 404, so that nothing is concluded (or cached, or unindexed) from a request that
/// came while a service was being added. Never 200, which is Caddy's answer where no route matches.
fn unknown_host_route() -> Value {
    json!({
        "handle": [{
            "handler": "static_response",
            "status_code": 503,
            "headers": { "Cache-Control": ["no-store"], "Content-Type": ["text/plain; charset=utf-8"] },
            "body": "No service answers here.\n",
        }],
    })
}
