//! Caddy's configuration as types that are written straight into bytes.
//!
//! A tree of JSON values for 10,000 services takes 100 MB and is slow to build; these types borrow from what they are made
//! of, and a route exists only while it is written. Fields stand in the order of their keys, since the bytes must be
//! those of [`canonical_bytes`](super::compare::canonical_bytes).

mod logging;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub(super) use self::logging::{
    Encoder, EvidenceLog, Filter, FilterEncoder, Log, LogField, LogName, Logging, Logs, NetWriter, Sampling,
};

use crate::core::inventory::UpstreamTls;
use crate::core::model::{Email, Hostname};

#[derive(Serialize)]
pub(super) struct Config<'e> {
    pub(super) apps: Apps<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logging: Option<Logging>,
}

#[derive(Serialize)]
pub(super) struct Apps<'e> {
    pub(super) http: HttpApp<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TlsApp<'e>>,
}

#[derive(Serialize)]
pub(super) struct HttpApp<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grace_period: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) https_port: Option<u16>,
    pub(super) servers: BTreeMap<&'static str, Server<'e>>,
}

#[derive(Serialize)]
pub(super) struct TlsApp<'e> {
    pub(super) automation: Automation<'e>,
    pub(super) certificates: Certificates<'e>,
}

#[derive(Serialize)]
pub(super) struct Automation<'e> {
    pub(super) policies: [Policy<'e>; 1],
}

#[derive(Serialize)]
pub(super) struct Policy<'e> {
    pub(super) issuers: [Issuer<'e>; 1],
    pub(super) subjects: Vec<&'e Hostname>,
}

#[derive(Serialize)]
pub(super) struct Issuer<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'e Email>,
    pub(super) module: &'static str,
}

#[derive(Serialize)]
pub(super) struct Certificates<'e> {
    pub(super) automate: Vec<&'e Hostname>,
}

#[derive(Serialize)]
pub(super) struct Server<'e> {
    pub(super) automatic_https: AutomaticHttps,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<ErrorRoutes<'e>>,
    pub(super) listen: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) named_routes: Option<&'e BTreeMap<String, Route<'static>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocols: Option<[&'static str; 1]>,
    pub(super) routes: Routes<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_connection_policies: Option<[Empty; 1]>,
}

#[derive(Serialize)]
pub(super) struct AutomaticHttps {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disable_redirects: bool,
}

impl AutomaticHttps {
    pub(super) const fn off() -> Self {
        Self { disable: true, disable_redirects: false }
    }
}

#[derive(Serialize)]
pub(super) struct Empty {}

/// Makes the routes of a server, one after the other.
type MakeRoutes<'e> = Box<dyn Fn() -> Box<dyn Iterator<Item = Route<'e>> + 'e> + 'e>;

/// The routes of a server, each made when it is written.
pub(super) struct Routes<'e>(pub(super) MakeRoutes<'e>);

impl Serialize for Routes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
pub(super) struct Route<'e> {
    #[serde(rename = "@id", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) handle: Vec<Handler<'e>>,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub(super) matchers: Vec<Matcher<'e>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) terminal: bool,
}

impl<'e> Route<'e> {
    /// A route that ends the way of what matches.
    pub(super) fn of(matchers: Vec<Matcher<'e>>, handler: Handler<'e>) -> Self {
        Self { id: None, handle: vec![handler], matchers, terminal: true }
    }
}

#[derive(Serialize)]
pub(super) struct ErrorRoutes<'e> {
    pub(super) routes: Vec<Route<'e>>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Matcher<'e> {
    Host(HostMatcher<'e>),
    Conditions(Conditions),
}

/// What else a route may ask of a request. Never `expression`: three of them in each of 1,000 services cost Caddy 3.8 CPU
/// seconds and 1.6 GB at every load, where these cost 0.6 seconds and 0.2 GB (measured on 2.11).
#[derive(Default, Serialize)]
pub(super) struct Conditions {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) header: BTreeMap<&'static str, [&'static str; 1]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) method: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not: Vec<Conditions>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) vars: BTreeMap<&'static str, &'static [&'static str]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) vars_regexp: BTreeMap<&'static str, Pattern>,
}

#[derive(Serialize)]
pub(super) struct Pattern {
    pub(super) pattern: &'static str,
}

#[derive(Serialize)]
pub(super) struct HostMatcher<'e> {
    pub(super) host: Vec<&'e Hostname>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not: Vec<HostMatcher<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) path: Vec<String>,
}

/// Each variant writes its own `handler` key, which a tag would put out of order.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Handler<'e> {
    Proxy(Box<ReverseProxy<'e>>),
    Relay(Box<RelayProxy>),
    Subroute(Box<Subroute<'e>>),
    Answer(StaticResponse),
    Error(RaisedError),
    Copy(CopyResponse),
    Vars(Vars),
    Invoke(Invoke),
    LogName(LogName),
    LogField(LogField),
}

#[derive(Serialize)]
pub(super) struct Subroute<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<ErrorRoutes<'e>>,
    pub(super) handler: &'static str,
    pub(super) routes: Vec<Route<'e>>,
}

/// Sets variables of a request.
#[derive(Serialize)]
pub(super) struct Vars {
    pub(super) handler: &'static str,
    #[serde(flatten)]
    pub(super) vars: BTreeMap<String, String>,
}

/// Sends a request through a named route.
#[derive(Serialize)]
pub(super) struct Invoke {
    pub(super) handler: &'static str,
    pub(super) name: String,
}

#[derive(Serialize)]
pub(super) struct RaisedError {
    pub(super) error: &'static str,
    pub(super) handler: &'static str,
    pub(super) status_code: &'static str,
}

/// What happens with an answer of some statuses.
#[derive(Serialize)]
pub(super) struct ResponseRoute<'e> {
    #[serde(rename = "match")]
    pub(super) matcher: ResponseMatcher,
    pub(super) routes: Vec<Route<'e>>,
}

#[derive(Serialize)]
pub(super) struct ResponseMatcher {
    pub(super) status_code: &'static [u16],
}

/// Passes an answer on as it came.
#[derive(Serialize)]
pub(super) struct CopyResponse {
    pub(super) handler: &'static str,
}

/// A proxy of the relay: no checks, no retries.
#[derive(Serialize)]
pub(super) struct RelayProxy {
    pub(super) handler: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) headers: Option<ProxyHeaders>,
    pub(super) transport: Transport,
    pub(super) upstreams: [Upstream; 1],
}

#[derive(Serialize)]
pub(super) struct ProxyHeaders {
    pub(super) request: RequestHeaders,
}

#[derive(Serialize)]
pub(super) struct RequestHeaders {
    pub(super) delete: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct StaticResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    pub(super) handler: &'static str,
    pub(super) headers: BTreeMap<&'static str, [String; 1]>,
    pub(super) status_code: u16,
}

#[derive(Serialize)]
pub(super) struct ReverseProxy<'e> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) handle_response: Vec<ResponseRoute<'e>>,
    pub(super) handler: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_checks: Option<HealthChecks<'e>>,
    pub(super) load_balancing: LoadBalancing,
    pub(super) stream_close_delay: String,
    pub(super) transport: Transport,
    pub(super) upstreams: Vec<Upstream>,
}

#[derive(Serialize)]
pub(super) struct HealthChecks<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) active: Option<Active<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passive: Option<Passive>,
}

#[derive(Serialize)]
pub(super) struct Active<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expect_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expect_status: Option<u16>,
    pub(super) fails: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<&'e str, [String; 1]>,
    pub(super) interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'static str>,
    pub(super) passes: u32,
    pub(super) timeout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<String>,
    pub(super) uri: &'e str,
}

#[derive(Serialize)]
pub(super) struct Passive {
    pub(super) fail_duration: String,
    pub(super) max_fails: u32,
}

#[derive(Serialize)]
pub(super) struct LoadBalancing {
    pub(super) retries: usize,
    pub(super) retry_match: [RetryMatch; 1],
    pub(super) selection_policy: SelectionPolicy,
}

#[derive(Serialize)]
pub(super) struct RetryMatch {
    pub(super) method: &'static [&'static str],
}

#[derive(Default, Serialize)]
pub(super) struct SelectionPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fallback: Option<Box<SelectionPolicy>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) policy: &'static str,
}

impl SelectionPolicy {
    /// A policy without settings.
    pub(super) fn of(policy: &'static str) -> Self {
        Self { policy, ..Self::default() }
    }
}

#[derive(Serialize)]
pub(super) struct Transport {
    pub(super) dial_timeout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_header_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<TransportTls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) write_timeout: Option<String>,
}

#[derive(Serialize)]
pub(super) struct KeepAlive {
    pub(super) enabled: bool,
    pub(super) probe_interval: String,
}

#[derive(Serialize)]
pub(super) struct TransportTls {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) insecure_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_name: Option<String>,
}

impl From<&UpstreamTls> for TransportTls {
    fn from(tls: &UpstreamTls) -> Self {
        let UpstreamTls { server_name, verify } = tls;
        Self { insecure_skip_verify: !verify, server_name: server_name.as_ref().map(ToString::to_string) }
    }
}

#[derive(Serialize)]
pub(super) struct Upstream {
    pub(super) dial: String,
}
