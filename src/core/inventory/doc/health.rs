use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written;
use crate::core::inventory::header::{HEADERS_MAX, VALUE_MAX};
use crate::core::model::{Hostname, Port, RequestPath, TimeSpan, text_type};

/// How the backends of a service are probed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct HealthDoc {
    /// What is tried: `http` asks for `path`, `grpc` asks for the health of `service`, `tcp` only connects. Default: http.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<HealthTypeDoc>,
    /// With `type: grpc`, the service whose health is asked for, by its full gRPC name. Default: the health of the server as a
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("examples" = ["acecinema.v1.Tickets"]))]
    pub service: Option<String>,
    /// Path and query that are asked for, over the protocol of `upstream`. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RequestPath>,
    /// Method of the request. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodDoc>,
    /// Value of the `Host` header (with `type: grpc`, the authority). Default: the first domain that is not a wildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Hostname>,
    /// Headers of the request by name. A secret is named and not written out: `${env:API_TOKEN}` is a variable in the
    /// environment of `bascule run`, `${file:/run/secrets/api-token}` a file on its machine, where `--allow-secret` allows it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "headers_schema")]
    pub headers: BTreeMap<String, String>,
    /// Time between two probes of one backend. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeSpan>,
    /// Time between two probes of a backend that is in doubt: nothing is known of it yet, or its newest answers contradict
    /// what is believed of it. At most 1,000 backends are asked so often at a time. Default: 1s, or `interval` where that is
    /// shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_interval: Option<TimeSpan>,
    /// Time that a whole probe may take; not longer than `interval`. Default: 2s, or `interval` where that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// An answer that takes longer than this is a failure of its own kind, `too slow`; shorter than `timeout`. Default: any
    /// answer within `timeout` is soon enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<TimeSpan>,
    /// How long failures do not count after a backend is added, moved, or put back from `state: drain` or `disabled`. The
    /// first pass ends it. Meanwhile it is `unknown`, and in rotation. Default: failures count at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<TimeSpan>,
    /// Passes in a row that bring a backend up. One that came back and went down again within a minute or two needs one more.
    /// Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), example = 2)]
    pub rise: Option<u32>,
    /// Failures in a row that take a backend down. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), example = 3)]
    pub fall: Option<u32>,
    /// What a passing answer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectDoc>,
    /// The backends' certificates. Their name and whether they are verified are said in `upstream`, for probes and edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProbeTlsDoc>,
    /// True: an answer to a probe with the header `Bascule-Report: drain` takes its backend out of rotation, as long as
    /// another one of the service is up and does not say so; one with `Bascule-Report: weight=50%` gives it so much of the
    /// share that its `weight` declares. From 1 to 100 %, in steps of 25 %: a step is taken where a report is 20 % or more away
    /// from what holds, and for one backend at most once in each half minute of the clock, since it is a push. A backend
    /// that does not speak of it in an answer has its whole share again. Several words are separated by commas; one
    /// that means nothing is a warning in the status. Default: false, whatever backends say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report: bool,
    /// In place of `type` and what belongs to it: one to four things that are tried side by side, within one `timeout`. A
    /// backend passes when each of them does; the failure names those that do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub all: Vec<TryDoc>,
    /// The same, and a backend passes when one of them does; the status names those that do not. Until `timeout` the others are waited for; how long an answer
    /// took is the time to the first that passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub any: Vec<TryDoc>,
}

/// One of several things that are tried: the keys mean what they mean in `health`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("examples" = [{"path": "/health"}, {"type": "tcp", "port": 9090}]))]
pub struct TryDoc {
    /// What is tried. Default: http.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<HealthTypeDoc>,
    /// A port of the backend's address other than its own. Default: the port that edges dial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [9090]))]
    pub port: Option<Port>,
    /// With `type: grpc`, the service whose health is asked for. Default: the health of the server as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("examples" = ["acecinema.v1.Tickets"]))]
    pub service: Option<String>,
    /// Path and query that are asked for. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RequestPath>,
    /// Method of the request. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodDoc>,
    /// Value of the `Host` header, or the authority. Default: the first domain that is not a wildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Hostname>,
    /// Headers of the request by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "headers_schema")]
    pub headers: BTreeMap<String, String>,
    /// What a passing answer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectDoc>,
    /// The certificate that is presented there. Of several, the status tells the one that ends first, and the most
    /// `min_days` count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProbeTlsDoc>,
}

impl HealthDoc {
    /// What is tried, where that is one thing: the keys beside which there is no list.
    pub(in crate::core::inventory) fn one(&self) -> TryDoc {
        let Self { kind, service, path, method, host, headers, expect, tls, .. } = self.clone();
        TryDoc { kind, port: None, service, path, method, host, headers, expect, tls }
    }
}

/// What is asked of the backends' certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ProbeTlsDoc {
    /// The status warns of a certificate that ends in fewer days; 0: it never does. One that has ended fails where
    /// certificates are verified. Default: 14, or 0 with `upstream.verify: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3650), example = 14)]
    pub min_days: Option<u32>,
}

/// What a probe tries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum HealthTypeDoc {
    /// A request; its answer decides.
    #[default]
    Http,
    /// The standard gRPC health check, `grpc.health.v1.Health/Check`, over HTTP/2; the answer `SERVING` passes. In plain text
    /// with `upstream.protocol: http`, over TLS (with `h2` by ALPN) with `https`.
    Grpc,
    /// A TCP connection; that it opens decides.
    Tcp,
}

/// Method of a probe's request: one of those that change nothing (RFC 9110, section 9.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum MethodDoc {
    /// Asks for the page.
    Get,
    /// Asks for the page without its body.
    Head,
    /// Asks what may be done with it.
    Options,
}

fn headers_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": VALUE_MAX, "examples": ["health"] },
        "maxProperties": HEADERS_MAX,
        "examples": [{"X-Probe": "health"}],
    })
}

/// What a passing answer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ExpectDoc {
    /// Statuses that pass: one (`204`) or a range (`200-299`). Default: any status from 200 to 299.
    #[serde(default, deserialize_with = "statuses", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "statuses_schema")]
    pub status: Vec<StatusRange>,
    /// What the body has to say. Its first 64 KiB are read, and no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyDoc>,
}

/// What the body of a passing answer says: one of `contains`, `matches` and `json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend("examples" = [{"json": "/status", "equals": "ok"}, {"contains": "ready"}]))]
pub struct BodyDoc {
    /// A text that is somewhere in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("examples" = ["ready"]))]
    pub contains: Option<String>,
    /// A regular expression that matches somewhere in it, in the syntax of Rust's `regex`. Write `^` and `$` for a match of
    /// the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("examples" = ["^(ok|ready)$"]))]
    pub matches: Option<String>,
    /// A JSON pointer (RFC 6901) to the value that `equals` is compared with. The empty text is the whole document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("examples" = ["/status"]))]
    pub json: Option<String>,
    /// The text, whole number or truth value that stands at `json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar_schema")]
    pub equals: Option<serde_json::Value>,
}

fn scalar_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "integer", "boolean"], "examples": ["ok"] })
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
    values.iter().map(|value| written(value).parse().map_err(serde::de::Error::custom)).collect()
}
