use std::sync::Arc;
use std::time::Duration;

use super::chain::{self, Requests};
use super::checks::{self, Checking};
use super::json::{
    Handler, HealthChecks, KeepAlive, LoadBalancing, RetryMatch, ReverseProxy, SelectionPolicy, StaticResponse,
    Transport, Upstream,
};
use super::pool::{Pool, Shares, Waiting};
use super::server::Parts;
use super::sweep::Sweeps;
use crate::core::inventory::{Backend, Connections, Page, Policy, Service, Sticky, UpstreamProtocol, WhenAllDown};
use crate::core::routing::{Effective, EffectiveService, Role, Serving};

/// Time between TCP's own probes of a connection on which nothing moves: so one to a machine that vanished ends within half
/// a minute.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Even a single backend gets a second try: a reused connection may have been closed under the request.
const RETRIES_MIN: usize = 2;
/// Past this many tries a client is better served by an error than by waiting on.
const RETRIES_MAX: usize = 8;

/// The handler of a service's route: a chain of links, or two where what may be sent again does not wait for answers as long as
/// the rest.
pub(super) fn handler<'e>(effective: &'e EffectiveService, parts: &Parts<'e>) -> Handler<'e> {
    let service = &*effective.service;
    if effective.serving == Serving::Maintenance {
        return page(&service.routing.page);
    }
    let chain = |requests| chain_for(requests, effective, parts);
    match Requests::of(service) {
        [all] => chain(*all),
        _ => chain::split(chain(Requests::Safe), chain(Requests::Unsafe)),
    }
}

/// The chain for some requests of a service.
///
/// First the tiers, in their order. Then, whatever is believed of them, every backend once (the sweep): when an answer says
/// "not now" and concurrent requests share the turns of a tier, only a link of its own makes sure that each backend has been
/// asked. Or the page, where that is wanted when all are down.
fn chain_for<'e>(requests: Requests, effective: &'e EffectiveService, parts: &Parts<'e>) -> Handler<'e> {
    let Parts { checking, pool, sweeps, .. } = parts;
    let service = &*effective.service;
    let everything = pool.everything(effective);
    let is_alone = is_alone(service, &everything);
    let sweep = sweeps.of(&service.name, requests);
    let is_relayed = checking.is_relay() && checks::is_relayed(service);
    let waiting = if is_relayed { Waiting::Listed } else { Waiting::LeftOut };
    let mut links = if is_alone {
        Vec::new()
    } else {
        tier_links(effective, requests, checking, is_relayed, &pool.tiers(effective, waiting))
    };
    let is_last_page = service.routing.when_all_down == WhenAllDown::Page;
    if links.is_empty() && !everything.is_empty() && (is_alone || !is_last_page) {
        // Nobody is believed in, and all share the traffic by weight. What has just failed takes no further turn of the same
        // request; the sweep comes back to it.
        let passive = sweep.is_some().then(|| HealthChecks { active: None, passive: Some(checks::passive(service)) });
        let shares = Shares::declared(service, &everything);
        let sticky = service.routing.sticky.as_ref();
        links.push(link(service, requests, shares.backends.len(), shares.upstreams(), sticky, passive));
    }
    if is_last_page {
        links.push(page(&service.routing.page));
    }
    let passing = if sweep.is_some() { links.len() } else { links.len().saturating_sub(1) };
    chain::passing_on(requests, links.iter_mut().take(passing));
    if let Some(sweep) = sweep
        && let Some(last) = links.pop()
    {
        links.push(chain::before(last, sweep.errors()));
    }
    chain::join(links).unwrap_or_else(no_backend_response)
}

/// The sweeps of those services that have one.
pub(super) fn sweeps(effective: &Effective, checking: &Checking<'_>, pool: &Pool) -> Sweeps {
    let mut sweeps = Sweeps::default();
    if checking.is_lean() {
        return sweeps;
    }
    for effective in effective.services.values() {
        let service = &*effective.service;
        let everything = pool.everything(effective);
        let is_last_page = service.routing.when_all_down == WhenAllDown::Page;
        if effective.serving != Serving::Maintenance && !is_last_page && !is_alone(service, &everything) {
            for requests in Requests::of(service) {
                sweeps.add(service, *requests, &everything);
            }
        }
    }
    sweeps
}

/// True for a service that has one backend to go to.
fn is_alone(service: &Service, everything: &[&Arc<Backend>]) -> bool {
    everything.len() == 1 || matches!(service.routing.policy, Policy::Single { .. })
}

fn tier_links<'e>(
    effective: &'e EffectiveService,
    requests: Requests,
    checking: &Checking<'e>,
    is_relayed: bool,
    tiers: &[Shares<'e>],
) -> Vec<Handler<'e>> {
    let service = &*effective.service;
    let is_held = |backend: &&Arc<Backend>| {
        effective.member(&backend.name).is_some_and(|member| matches!(member.role, Role::Guarded(_)))
    };
    let tier_link = |tier: &Shares<'e>| {
        // Caddy's own check of the backend would find what the probe found, and end the hold.
        let is_asked = is_relayed || !tier.backends.iter().any(is_held);
        let active = checks::active(service, checking, &tier.backends).filter(|_| is_asked);
        let checks = HealthChecks { active, passive: Some(checks::passive(service)) };
        link(service, requests, tier.backends.len(), tier.upstreams(), service.routing.sticky.as_ref(), Some(checks))
    };
    tiers.iter().map(tier_link).collect()
}

/// A link over so many backends, of which one may be kept for each client; without checks it believes nothing, and every
/// upstream is tried.
pub(super) fn link<'e>(
    service: &Service,
    requests: Requests,
    backends: usize,
    upstreams: Vec<Upstream>,
    sticky: Option<&Sticky>,
    checks: Option<HealthChecks<'e>>,
) -> Handler<'e> {
    Handler::Proxy(Box::new(ReverseProxy {
        handle_response: Vec::new(),
        handler: "reverse_proxy",
        health_checks: checks,
        load_balancing: load_balancing(service, backends, sticky),
        // Without it every push closes every WebSocket through this handler at once. Caddy knows one delay for all of them:
        // a longer time to drain is one for the streams of other backends too.
        stream_close_delay: go_duration(service.timeouts.stream_close.max(service.timeouts.drain)),
        transport: transport(service, requests),
        upstreams,
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
fn transport(service: &Service, requests: Requests) -> Transport {
    let patience = go_duration(requests.patience(service));
    Transport {
        dial_timeout: go_duration(service.timeouts.dial),
        keep_alive: match service.connections {
            Connections::Fresh => Some(KeepAlive { enabled: false, probe_interval: go_duration(PROBE_INTERVAL) }),
            Connections::Reuse => None,
        },
        protocol: "http",
        response_header_timeout: Some(patience.clone()),
        tls: match &service.upstream {
            UpstreamProtocol::Http => None,
            UpstreamProtocol::Https(tls) => Some(tls.into()),
        },
        // The time for the answer begins once the request is sent; to a machine that vanished, a long body never is.
        write_timeout: Some(patience),
    }
}

fn load_balancing(service: &Service, backends: usize, sticky: Option<&Sticky>) -> LoadBalancing {
    let shared = SelectionPolicy::of("round_robin");
    LoadBalancing {
        // A try for each upstream, so that one living one is found among dead ones; no `try_duration`, whose pauses a
        // push would cut short with an error.
        retries: backends.clamp(RETRIES_MIN, RETRIES_MAX),
        retry_match: [RetryMatch { method: &chain::SAFE_METHODS }],
        selection_policy: match sticky {
            _ if backends == 1 => shared,
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

/// A duration as Go writes it, in the largest unit that divides it.
pub(super) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
