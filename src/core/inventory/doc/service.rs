use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::HealthDoc;
use super::routing::RoutingDoc;
use crate::core::model::{Hostname, PathPrefix, ServiceName, Tag, TimeSpan};

/// A service: a public endpoint that backends at one or more sites answer for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bascule service", extend("examples" = [{
    "name": "api", "domains": ["api.acecinema.fr"], "health": {"path": "/health", "interval": "2s"},
}]))]
pub struct ServiceDoc {
    /// Unique name of the service. Backends say it in `service`.
    pub name: ServiceName,
    /// For people; shown in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Host names that clients ask for. A leading `*` stands for exactly one label. An exact name wins over a wildcard.
    #[schemars(length(min = 1))]
    pub domains: Vec<Hostname>,
    /// Path prefixes that this service answers under its domains; `/api` is `/api` and everything below it, in upper or
    /// lower case. The longest prefix wins. Default: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathPrefix>,
    /// How its backends are probed. Default: TCP connections to the backend's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthDoc>,
    /// Which backends get the traffic. Default: `policy: spread`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<RoutingDoc>,
    /// How edges speak with the backends. Default: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamDoc>,
    /// How long edges wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsDoc>,
    /// True: clients get the page of `routing.page` while somebody works on the service. Its backends are still probed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// True: `bascule simulate --require` and `bascule review --require` fail where the loss of a site or a backend would take
    /// the service down, and `review --require` where a change removes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// How edges speak with the backends of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct UpstreamDoc {
    /// The protocol of the backends' port. Default: http.
    #[serde(default)]
    pub protocol: UpstreamProtocolDoc,
    /// The name that the backends' certificates must carry, with `protocol: https`. Default: the first domain that is not a
    /// wildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Hostname>,
    /// Whether edges keep connections to backends open between requests. Default: `fresh` with `protocol: http`, `reuse`
    /// with `protocol: https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsDoc>,
    /// False: take any certificate from the backends, with `protocol: https`. Only for a network that is trusted otherwise,
    /// such as a tunnel. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
}

/// Whether edges keep connections to backends open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ConnectionsDoc {
    /// A connection for each request. It costs a round trip; a machine that vanished is then found before anything is
    /// sent, so that no request of any method is lost to it.
    Fresh,
    /// Kept connections. For busy or far backends: a request that is sent over a connection to a machine that vanished
    /// waits for `timeouts.response`, or for `timeouts.response_unsafe` where it cannot be sent again, and then it fails.
    Reuse,
}

/// The protocol of the backends' port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum UpstreamProtocolDoc {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

/// How long edges wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct TimeoutsDoc {
    /// For a connection to a backend. A failed dial is retried on another backend, so this is the longest stall for each
    /// machine that vanishes. Two to three round trips. Default: 300ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dial: Option<TimeSpan>,
    /// For the first byte of a backend's answer, and for a backend to go on reading a request. A request that may be sent
    /// again then goes to another backend. It must be longer than the slowest honest answer; the shorter it is, the sooner
    /// clients are free of a machine that vanished under them. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<TimeSpan>,
    /// The same for a request that cannot be sent again: any with a body, and any but GET, HEAD and OPTIONS. To give one up
    /// makes an error of it, so a longer time is better where `response` is short: what is slow, or lost on the way for a
    /// moment, still arrives. Where the two differ, an edge has two chains of handlers for the service, each with its own
    /// checks. Default: as `response`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_unsafe: Option<TimeSpan>,
    /// That a WebSocket may stay open after a configuration change. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_close: Option<TimeSpan>,
    /// That what is open to a backend may go on after it was drained, disabled or removed. WebSockets then end by
    /// themselves; other requests and streams, and those for which this is shorter than `stream_close`, only where
    /// `bascule run --sever` may end connections. Default: as `stream_close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<TimeSpan>,
}
