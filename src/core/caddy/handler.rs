use std::sync::Arc;
use std::time::Duration;

use super::json::{
    Active, Handler, HealthChecks, HostHeader, LoadBalancing, Passive, RetryMatch, ReverseProxy, SelectionPolicy,
    StaticResponse, Transport, Upstream,
};
use crate::core::inventory::{Backend, Probe, ProbeKind, Service, StatusRange, UpstreamProtocol};
use crate::core::routing::{EffectiveService, Serving};

/// Methods that a proxy may send again by itself: safe by RFC 9110, section 9.2.1, and without a body that may be half
/// consumed. PUT and DELETE are idempotent too, but Caddy has no second copy of a body.
const RETRIED_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// A safe request is sent again when the connection broke, or when the backend says that it is not the one to ask.
const RETRIED_ANSWERS: &str =
    "{http.reverse_proxy.is_transport_error} == true || {http.reverse_proxy.status_code} in [502, 503, 504]";
/// Even a single backend gets a second try: a reused connection may have been closed under the request.
const RETRIES_MIN: usize = 2;
/// Past this many tries a client is better served by an error than by waiting on.
const RETRIES_MAX: usize = 8;
/// How long Caddy leaves out an upstream after one failure, by itself. Longer than it takes the probes to judge with the
/// default interval, so that a dead machine costs one stall and not one every few seconds.
const PASSIVE_FAIL: Duration = Duration::from_secs(10);
/// The same when every backend is believed down and all are tried: any of them may answer again at any moment.
const PASSIVE_FAIL_LAST_RESORT: Duration = Duration::from_secs(1);

/// The handler of a service's route.
pub(super) fn handler(effective: &EffectiveService) -> Handler<'_> {
    let upstreams: Vec<_> = effective.in_rotation().collect();
    if upstreams.is_empty() {
        return no_backend_response();
    }
    let service = &effective.service;
    Handler::Proxy(Box::new(ReverseProxy {
        handler: "reverse_proxy",
        health_checks: HealthChecks {
            active: active(service, effective.serving, &upstreams),
            passive: passive(effective.serving, upstreams.len()),
        },
        load_balancing: load_balancing(&upstreams),
        // Without it every push closes every WebSocket through this handler at once.
        stream_close_delay: go_duration(service.timeouts.stream_close),
        transport: transport(service),
        upstreams: upstreams.iter().map(|backend| Upstream { dial: backend.upstream().to_string() }).collect(),
    }))
}

/// An answer of text that no cache may keep.
pub(super) fn text_response(status_code: u16, body: &'static str) -> StaticResponse {
    let headers = [("Cache-Control", "no-store"), ("Content-Type", "text/plain; charset=utf-8")];
    StaticResponse {
        body: Some(body),
        handler: "static_response",
        headers: headers.map(|(name, value)| (name, [value.to_owned()])).into(),
        status_code,
    }
}

fn no_backend_response() -> Handler<'static> {
    let mut response = text_response(503, "No backend is in service.\n");
    response.headers.insert("Retry-After", ["10".to_owned()]);
    Handler::Answer(response)
}

/// Always written out: Caddy never closes the idle connections of a transport that it made by default, so every push would
/// leak them for two minutes.
fn transport(service: &Service) -> Transport<'_> {
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

fn load_balancing(upstreams: &[&Arc<Backend>]) -> LoadBalancing {
    let weights: Vec<u16> = upstreams.iter().map(|backend| backend.weight).collect();
    let is_even = weights.iter().all(|weight| *weight == weights[0]);
    let selection_policy = if is_even {
        SelectionPolicy { policy: "round_robin", weights: Vec::new() }
    } else {
        // One weight for each upstream, always: Caddy takes a shorter list and then panics in requests.
        SelectionPolicy { policy: "weighted_round_robin", weights }
    };
    LoadBalancing {
        // A try for each upstream, so that one living one is found among dead ones; no `try_duration`, whose pauses a
        // push would cut short with an error.
        retries: upstreams.len().clamp(RETRIES_MIN, RETRIES_MAX),
        retry_match: [RetryMatch { expression: RETRIED_ANSWERS, method: &RETRIED_METHODS }],
        selection_policy,
    }
}

/// None for a single upstream: leaving out the only one there is answers everybody with 503, and one connection that broke
/// would do that for seconds.
fn passive(serving: Serving, upstreams: usize) -> Option<Passive> {
    let fail_duration = match serving {
        Serving::LastResort => PASSIVE_FAIL_LAST_RESORT,
        Serving::Full | Serving::Degraded | Serving::Nothing => PASSIVE_FAIL,
    };
    (upstreams > 1).then(|| Passive { fail_duration: go_duration(fail_duration), max_fails: 1 })
}

/// Caddy's own checks, which go on when bascule is gone.
///
/// None when all backends are believed down: Caddy would come to the same belief and serve nobody, against the policy.
/// None where Caddy cannot ask the same question as the probe, since a check that judges differently would take out what
/// the probe finds good: a TCP probe, different paths in one service, or statuses that Caddy cannot say.
fn active<'e>(service: &'e Service, serving: Serving, upstreams: &[&'e Arc<Backend>]) -> Option<Active<'e>> {
    let probe = &upstreams.first()?.probe;
    let is_uniform = upstreams.iter().all(|backend| backend.probe == *probe);
    if serving == Serving::LastResort || !is_uniform {
        return None;
    }
    let Probe { kind, interval, timeout, rise, fall } = probe;
    let ProbeKind::Http { path, host, tls: _, expect } = kind else { return None };
    let host = host.as_ref().or_else(|| service.domains.iter().find(|host| !host.is_wildcard()));
    Some(Active {
        expect_status: Some(expected_status(expect)?).filter(|status| *status != 0),
        fails: *fall,
        headers: host.map(|host| HostHeader { host: [host] }),
        interval: go_duration(*interval),
        passes: *rise,
        timeout: go_duration(*timeout),
        uri: path,
    })
}

/// The statuses as Caddy says them: one status, one class as its first digit, or 0 for its default of 200 to 399.
fn expected_status(expect: &[StatusRange]) -> Option<u16> {
    let [range] = expect else { return None };
    match (range.first(), range.last()) {
        (200, 399) => Some(0),
        (first, last) if first == last => Some(first),
        (first, last) if first % 100 == 0 && last == first + 99 => Some(first / 100),
        _ => None,
    }
}

/// A duration as Go reads it (`time.ParseDuration`).
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
