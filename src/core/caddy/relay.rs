//! The verdict relay: a server inside the edge's Caddy that puts the question of every active check to bascule, and to the
//! backend itself where bascule does not answer in time. A verdict so acts within one check interval, without a reload;
//! and with bascule dead, hung or away, the edge goes on checking by itself.

use std::net::SocketAddr;
use std::time::Duration;

use super::handler::{go_duration, text_response};
use super::json::{
    AutomaticHttps, Conditions, ErrorRoutes, Handler, Matcher, ProxyHeaders, RelayProxy, RequestHeaders, Route, Routes,
    Server, Transport, Upstream,
};
use crate::core::inventory::Relay;
use crate::core::model::ServiceName;
use crate::core::routing::{Effective, Role};

/// Header with the edge's name.
pub const EDGE: &str = "Bascule-Edge";
/// Header with the service's name.
pub const SERVICE: &str = "Bascule-Service";
/// Header with the address that the edge would dial.
pub const UPSTREAM: &str = "Bascule-Upstream";
/// Header with the status that passes the check; without it, 200 does.
pub const PASS: &str = "Bascule-Pass";
/// Header that says how to ask the backend itself; without it, as the check asks.
pub(super) const DIRECT: &str = "Bascule-Direct";
/// Value of that header: not at all, since Caddy cannot ask what the probe asks. The check passes then, and what Caddy sees
/// of requests decides.
pub(super) const NOWHERE: &str = "nowhere";

/// Longest time that bascule may take to answer. It answers from memory, in microseconds; what takes longer is hung.
const ANSWER_MAX: Duration = Duration::from_millis(300);
/// Longest time to reach bascule.
const DIAL_MAX: Duration = Duration::from_millis(200);
/// The same together: what the relay takes of a check before the backend is asked.
pub(super) const DEADLINE: Duration = Duration::from_millis(500);

/// Whether an upstream should get traffic: what bascule answers a relay. None for what is not planned; who asks runs
/// another configuration than the plan's.
pub fn answer(effective: &Effective, service: &str, upstream: &str) -> Option<bool> {
    let service: ServiceName = service.parse().ok()?;
    let upstream: SocketAddr = upstream.parse().ok()?;
    let members = &effective.services.get(&service)?.members;
    let member = members.iter().find(|member| member.backend.upstream() == upstream)?;
    Some(match member.role {
        // A tier that stands by is asked only when those before it have nothing.
        Role::InRotation | Role::LastResort | Role::Guarded(_) | Role::Standby => true,
        Role::Out(_) => false,
    })
}

/// The relay server of an edge.
pub(super) fn server(relay: &Relay) -> Server<'_> {
    let ask = || Route::of(Vec::new(), proxy(&relay.bascule.to_string(), Some(ANSWER_MAX)));
    let nowhere = Conditions { header: [(DIRECT, [NOWHERE])].into(), ..Conditions::default() };
    let backend = format!("{{http.request.header.{UPSTREAM}}}");
    let errors = vec![
        Route::of(vec![Matcher::Conditions(nowhere)], Handler::Answer(text_response(200, ""))),
        Route::of(Vec::new(), proxy(&backend, None)),
    ];
    Server {
        automatic_https: AutomaticHttps::off(),
        errors: Some(ErrorRoutes { routes: errors }),
        listen: vec![relay.listen.caddy_address()],
        logs: None,
        named_routes: None,
        protocols: Some(["h1"]),
        routes: Routes(Box::new(move || Box::new(std::iter::once_with(ask)))),
        tls_connection_policies: None,
    }
}

/// A plain proxy. What is for bascule does not go on to a backend.
fn proxy(dial: &str, answer_max: Option<Duration>) -> Handler<'static> {
    let is_for_bascule = answer_max.is_some();
    let delete = vec![EDGE, SERVICE, UPSTREAM, PASS, DIRECT];
    Handler::Relay(Box::new(RelayProxy {
        handler: "reverse_proxy",
        headers: (!is_for_bascule).then_some(ProxyHeaders { request: RequestHeaders { delete } }),
        transport: Transport {
            dial_timeout: go_duration(DIAL_MAX),
            keep_alive: None,
            protocol: "http",
            response_header_timeout: answer_max.map(go_duration),
            tls: None,
            write_timeout: None,
        },
        upstreams: [Upstream { dial: dial.to_owned() }],
    }))
}
