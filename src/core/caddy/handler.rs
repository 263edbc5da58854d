use std::sync::Arc;
use std::time::Duration;

use super::checks::{self, Checking};
use super::json::{
    ErrorRoutes, Handler, HealthChecks, LoadBalancing, Matcher, RetryMatch, ReverseProxy, Route, SelectionPolicy,
    StaticResponse, Subroute, Transport, Upstream,
};
use super::pool::Pool;
use crate::core::inventory::{Backend, Page, Policy, Service, Sticky, UpstreamProtocol, WhenAllDown};
use crate::core::routing::{EffectiveService, Serving};

/// Methods that a proxy may send again by itself: safe by RFC 9110, section 9.2.1, and without a body that may be half
/// consumed. PUT and DELETE are idempotent too, but Caddy has no second copy of a body.
const RETRIED_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// A safe request is sent again when the connection broke, or when the backend says that it is not the one to ask.
const RETRIED_ANSWERS: &str =
    "{http.reverse_proxy.is_transport_error} == true || {http.reverse_proxy.status_code} in [502, 503, 504]";
/// When the next link of the chain may take a request: nothing has been sent of it (no upstream was available, or none
/// could be dialed), or it is safe to send again. Anything else may have been acted on.
const NEXT_LINK: &str = "{http.error.status_code} == 503 \
    || ({http.error.status_code} == 502 && {http.error.message}.startsWith('dial ')) \
    || ({http.error.status_code} in [502, 504] && {http.request.method} in ['GET', 'HEAD', 'OPTIONS'])";
/// Even a single backend gets a second try: a reused connection may have been closed under the request.
const RETRIES_MIN: usize = 2;
/// Past this many tries a client is better served by an error than by waiting on.
const RETRIES_MAX: usize = 8;

/// The handler of a service's route: a chain of links. A request goes to the first; it goes on to the next when the one
/// before has no upstream for it, and nothing was lost. The last link tries every backend whatever is believed of it, or
/// shows the page: nobody gets an error while something might answer, be bascule there or not.
pub(super) fn handler<'e>(effective: &'e EffectiveService, checking: &Checking<'e>, pool: &Pool) -> Handler<'e> {
    let service = &*effective.service;
    match effective.serving {
        Serving::Maintenance => return page(&service.routing.page),
        Serving::Nothing => return no_backend_response(),
        Serving::Full | Serving::Degraded | Serving::LastResort | Serving::Page => {}
    }
    let mut links: Vec<Handler<'e>> = Vec::new();
    let everything = pool.everything(effective);
    let tiers = pool.tiers(effective);
    let is_alone = everything.len() == 1 || matches!(service.routing.policy, Policy::Single { .. });
    if !is_alone {
        links.extend(tiers.iter().map(|tier| tier_link(service, checking, tier)));
    }
    links.push(match service.routing.when_all_down {
        WhenAllDown::ServeAll => unchecked_link(service, &everything),
        WhenAllDown::Page if is_alone => chain(unchecked_link(service, &everything), page(&service.routing.page)),
        WhenAllDown::Page => page(&service.routing.page),
    });
    links.into_iter().rev().reduce(|next, link| chain(link, next)).unwrap_or_else(no_backend_response)
}

/// One link, and what takes the requests that it has no upstream for.
fn chain<'e>(link: Handler<'e>, next: Handler<'e>) -> Handler<'e> {
    let may_go_on = Matcher::Expression { expression: NEXT_LINK };
    let onward = Route::of(vec![may_go_on], next);
    // Without a last route that raises the error again, what matches none would be answered 200 and empty.
    let errors = ErrorRoutes { routes: vec![onward, Route::of(Vec::new(), Handler::raise_again())] };
    let routes = vec![Route { id: None, handle: [link], matchers: Vec::new(), terminal: false }];
    Handler::Subroute(Box::new(Subroute { errors, handler: "subroute", routes }))
}

/// A link whose upstreams are checked: the backends of one tier.
fn tier_link<'e>(service: &'e Service, checking: &Checking<'e>, tier: &[&'e Arc<Backend>]) -> Handler<'e> {
    let health_checks =
        HealthChecks { active: checks::active(service, checking, tier), passive: Some(checks::passive()) };
    proxy(service, tier, health_checks)
}

/// A link that believes nothing: every upstream is tried.
fn unchecked_link<'e>(service: &'e Service, backends: &[&'e Arc<Backend>]) -> Handler<'e> {
    proxy(service, backends, HealthChecks { active: None, passive: None })
}

fn proxy<'e>(service: &'e Service, backends: &[&'e Arc<Backend>], health_checks: HealthChecks<'e>) -> Handler<'e> {
    Handler::Proxy(Box::new(ReverseProxy {
        handler: "reverse_proxy",
        health_checks,
        load_balancing: load_balancing(service, backends),
        // Without it every push closes every WebSocket through this handler at once.
        stream_close_delay: go_duration(service.timeouts.stream_close),
        transport: transport(service),
        upstreams: backends.iter().map(|backend| Upstream { dial: backend.upstream().to_string() }).collect(),
    }))
}

/// An answer of text that no cache may keep.
pub(super) fn text_response(status_code: u16, body: &str) -> StaticResponse {
    let headers = [("Cache-Control", "no-store"), ("Content-Type", "text/plain; charset=utf-8")];
    StaticResponse {
        body: Some(body.to_owned()),
        handler: "static_response",
        headers: headers.map(|(name, value)| (name, [value.to_owned()])).into(),
        status_code,
    }
}

fn no_backend_response<'e>() -> Handler<'e> {
    let mut response = text_response(503, "No backend is in service.\n");
    response.headers.insert("Retry-After", ["10".to_owned()]);
    Handler::Answer(response)
}

/// The page in place of a service.
fn page(page: &Page) -> Handler<'static> {
    let Page { status, retry_after, html } = page;
    let mut response = text_response(*status, "This service is down for a moment. Please try again soon.\n");
    if let Some(html) = html {
        // Caddy would put values in place of what stands in braces; a backslash keeps them as they are.
        response.body = Some(html.replace('{', "\\{"));
        response.headers.insert("Content-Type", ["text/html; charset=utf-8".to_owned()]);
    }
    response.headers.insert("Retry-After", [retry_after.as_secs().max(1).to_string()]);
    Handler::Answer(response)
}

/// Always written out: Caddy never closes the idle connections of a transport that it made by default, so every push would
/// leak them for two minutes.
fn transport(service: &Service) -> Transport {
    Transport {
        dial_timeout: go_duration(service.timeouts.dial),
        protocol: "http",
        response_header_timeout: service.timeouts.response.map(go_duration),
        tls: match &service.upstream {
            UpstreamProtocol::Http => None,
            UpstreamProtocol::Https(tls) => Some(tls.into()),
        },
    }
}

fn load_balancing(service: &Service, backends: &[&Arc<Backend>]) -> LoadBalancing {
    let shared = by_weight(backends);
    LoadBalancing {
        // A try for each upstream, so that one living one is found among dead ones; no `try_duration`, whose pauses a
        // push would cut short with an error.
        retries: backends.len().clamp(RETRIES_MIN, RETRIES_MAX),
        retry_match: [RetryMatch { expression: RETRIED_ANSWERS, method: &RETRIED_METHODS }],
        selection_policy: match &service.routing.sticky {
            _ if backends.len() == 1 => shared,
            None => shared,
            Some(Sticky::Cookie) => SelectionPolicy {
                fallback: Some(Box::new(shared)),
                name: Some(format!("bascule_{}", service.name)),
                ..SelectionPolicy::of("cookie")
            },
            Some(Sticky::ClientAddress) => SelectionPolicy::of("client_ip_hash"),
            Some(Sticky::Header(field)) => SelectionPolicy {
                fallback: Some(Box::new(shared)),
                field: Some(field.clone()),
                ..SelectionPolicy::of("header")
            },
        },
    }
}

fn by_weight(backends: &[&Arc<Backend>]) -> SelectionPolicy {
    let weights: Vec<u16> = backends.iter().map(|backend| backend.weight).collect();
    let is_even = weights.iter().all(|weight| *weight == weights[0]);
    if is_even {
        return SelectionPolicy::of("round_robin");
    }
    // One weight for each upstream, always: Caddy takes a shorter list and then panics in requests.
    SelectionPolicy { weights, ..SelectionPolicy::of("weighted_round_robin") }
}

/// A duration as Go writes it, in the largest unit that divides it.
pub(super) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
