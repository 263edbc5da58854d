use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::routing::RoutingDoc;
use crate::core::model::{Hostname, PathPrefix, RequestPath, ServiceName, Tag, TimeSpan, text_type};

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
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// How the backends of a service are probed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct HealthDoc {
    /// What is tried: `http` asks for `path`, `tcp` only connects. Default: http.
    #[serde(default, rename = "type")]
    pub kind: HealthTypeDoc,
    /// Path and query that are asked for, over the protocol of `upstream`. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RequestPath>,
    /// Time between two probes of one backend. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeSpan>,
    /// Time that a whole probe may take; not longer than `interval`. Default: 2s, or `interval` where that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// Passes in a row that bring a backend up. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub rise: Option<u32>,
    /// Failures in a row that take a backend down. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub fall: Option<u32>,
    /// What a passing answer is. Default: any status from 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectDoc>,
}

/// What a probe tries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum HealthTypeDoc {
    /// A GET request; the answer's status decides.
    #[default]
    Http,
    /// A TCP connection; that it opens decides.
    Tcp,
}

/// What a passing answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ExpectDoc {
    /// Statuses that pass: one (`204`) or a range (`200-299`).
    #[serde(deserialize_with = "statuses")]
    #[schemars(schema_with = "statuses_schema")]
    pub status: Vec<StatusRange>,
}

/// HTTP statuses from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// Every success (RFC 9110, section 15.3).
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| -> Option<u16> {
            let number: u16 = text.parse().ok()?;
            (text.len() == 3 && (100..=599).contains(&number)).then_some(number)
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (status(first)?, status(last)?),
            None => (status(text)?, status(text)?),
        };
        (first <= last).then_some(Self { first, last })
    }

    /// True when `status` is in the range.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }

    /// The lowest status of the range.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest status of the range.
    pub const fn last(self) -> u16 {
        self.last
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

text_type!(
    StatusRange,
    name: "StatusRange",
    expected: "an HTTP status such as `204` or a range such as `200-299`",
    pattern: "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$",
    examples: ["200-299", "204"]
);

fn statuses_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "minItems": 1,
        "items": {
            "type": ["string", "integer"],
            "pattern": StatusRange::PATTERN,
            "minimum": 100,
            "maximum": 599,
            "examples": ["200-299", 204],
        },
    })
}

/// YAML reads `204` as a number and `200-299` as text; both are statuses.
fn statuses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<StatusRange>, D::Error> {
    let values = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let parse = |value: serde_json::Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.parse().map_err(serde::de::Error::custom)
    };
    values.into_iter().map(parse).collect()
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
    /// waits for `timeouts.response`, and fails where it cannot be sent again.
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
    /// That a WebSocket may stay open after a configuration change. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_close: Option<TimeSpan>,
    /// That what is open to a backend may go on after it was drained, disabled or removed. WebSockets then end by
    /// themselves; other requests and streams, and those for which this is shorter than `stream_close`, only where
    /// `bascule run --sever` may end connections. Default: as `stream_close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<TimeSpan>,
}
