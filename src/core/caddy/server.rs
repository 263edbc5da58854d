use std::collections::BTreeMap;
use std::sync::Arc;

use super::checks::Checking;
use super::json::{AutomaticHttps, Empty, Handler, HostMatcher, Matcher, Route, Routes, Server, StaticResponse};
use super::matcher::Overlaps;
use super::pool::Pool;
use super::relay;
use super::render::{all_domains, route_id};
use super::sweep::Sweeps;
use super::{evidence, handler};
use crate::core::inventory::{Edge, Tls};
use crate::core::model::{HTTP_PORT, HTTPS_PORT, Listener, Scheme};
use crate::core::routing::{Effective, EffectiveService};

/// Beginning of the names of bascule's own servers.
pub(super) const OWN_SERVERS: &str = "bascule-";
const HTTPS_SERVER: &str = "bascule-https";
const HTTP_SERVER: &str = "bascule-http";
const RELAY_SERVER: &str = "bascule-relay";

/// What the routes of an edge are made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'e> {
    pub(super) effective: &'e Effective,
    pub(super) overlaps: &'e Overlaps,
    pub(super) checking: Checking<'e>,
    pub(super) pool: &'e Pool,
    pub(super) sweeps: &'e Sweeps,
}

/// The servers of an edge: one for its TLS listeners, one for its plain ones, and the relay.
///
/// They are two since Caddy decides on TLS by server: in a server with a connection policy, every listener speaks TLS
/// except one on the configured HTTP port.
pub(super) fn servers<'e>(parts: Parts<'e>, edge: &Edge) -> BTreeMap<&'static str, Server<'e>> {
    let (plain, secure) = split(edge);
    let mut servers = BTreeMap::new();
    if !secure.is_empty() {
        let tls_connection_policies = Some([Empty {}]);
        let server = service_server(&secure, parts);
        let automatic_https = match edge.tls {
            // The names of the routes are what Caddy gets certificates for, from whom its configuration says.
            Tls::Edge => AutomaticHttps { disable: false, disable_redirects: true },
            Tls::Acme { .. } | Tls::Internal | Tls::Off => AutomaticHttps::off(),
        };
        servers.insert(HTTPS_SERVER, Server { automatic_https, tls_connection_policies, ..server });
    }
    if !plain.is_empty() {
        let server = match secure.first() {
            Some(target) => server(&plain, redirect_routes(parts.effective, target)),
            None => service_server(&plain, parts),
        };
        servers.insert(HTTP_SERVER, server);
    }
    if let Checking::Relay { relay, .. } = parts.checking {
        servers.insert(RELAY_SERVER, relay::server(relay));
    }
    servers
}

/// Caddy's own idea of which ports are HTTP and HTTPS, where it is not 80 and 443: ACME's challenges go by it.
pub(super) fn scheme_ports(edge: &Edge) -> (Option<u16>, Option<u16>) {
    let (plain, secure) = split(edge);
    let first = |listeners: &[&Listener]| listeners.iter().map(|listener| listener.port().get()).min();
    let http = first(&plain).filter(|port| *port != HTTP_PORT && !secure.is_empty());
    let https = first(&secure).filter(|port| *port != HTTPS_PORT);
    (http, https)
}

fn split(edge: &Edge) -> (Vec<&Listener>, Vec<&Listener>) {
    match edge.tls {
        Tls::Off => (edge.listen.iter().collect(), Vec::new()),
        Tls::Acme { .. } | Tls::Internal | Tls::Edge => {
            edge.listen.iter().partition(|listener| listener.scheme() == Scheme::Http)
        }
    }
}

fn server<'e>(listeners: &[&Listener], routes: Routes<'e>) -> Server<'e> {
    Server {
        automatic_https: AutomaticHttps::off(),
        errors: None,
        listen: listeners.iter().map(|listener| listener.caddy_address()).collect(),
        logs: None,
        named_routes: None,
        protocols: None,
        routes,
        tls_connection_policies: None,
    }
}

/// A server that has the services.
fn service_server<'e>(listeners: &[&Listener], parts: Parts<'e>) -> Server<'e> {
    let logs = parts.checking.evidence().map(|_| Empty {});
    Server { logs, named_routes: parts.sweeps.routes(), ..server(listeners, service_routes(parts)) }
}

fn service_routes<'e>(parts: Parts<'e>) -> Routes<'e> {
    let Parts { effective, overlaps, checking, .. } = parts;
    let route = move |service: &'e Arc<EffectiveService>| Route {
        id: Some(route_id(&service.service.name)),
        handle: evidence::handlers(service, &checking).chain([handler::handler(service, &parts)]).collect(),
        matchers: overlaps.matchers(&service.service).into_iter().map(Matcher::Host).collect(),
        terminal: true,
    };
    Routes(Box::new(move || Box::new(effective.services.values().map(route).chain([unknown_host_route()]))))
}

/// 308 keeps method and body (RFC 9110, section 15.4.9).
fn redirect_routes<'e>(effective: &'e Effective, target: &Listener) -> Routes<'e> {
    let port = match target.port().get() {
        HTTPS_PORT => String::new(),
        port => format!(":{port}"),
    };
    let location = format!("https://{{http.request.host}}{port}{{http.request.uri}}");
    let route = move || {
        let host = all_domains(effective);
        // A redirect is cached for good by browsers unless it is told not to be; an edge whose TLS is turned off again
        // would then be out of reach for them.
        let headers = [("Cache-Control", ["no-store".to_owned()]), ("Location", [location.clone()])].into();
        let response = StaticResponse { body: None, handler: "static_response", headers, status_code: 308 };
        (!host.is_empty()).then(|| Route {
            id: None,
            handle: vec![Handler::Answer(response)],
            matchers: vec![Matcher::Host(HostMatcher { host, not: Vec::new(), path: Vec::new() })],
            terminal: true,
        })
    };
    Routes(Box::new(move || Box::new(route().into_iter().chain([unknown_host_route()]))))
}

/// A host that no service has: 503 and not 404, so that nothing is concluded (or cached, or unindexed) from a request that
/// came while a service was being added. Never 200, which is Caddy's answer where no route matches.
fn unknown_host_route() -> Route<'static> {
    let response = handler::text_response(503, "No service answers here.\n");
    Route { id: None, handle: vec![Handler::Answer(response)], matchers: Vec::new(), terminal: false }
}
