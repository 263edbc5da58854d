use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::model::{SiteName, Tag, TimeSpan, text_type};

/// Which backends get the traffic of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RoutingDoc {
    /// How backends are chosen. Default: spread.
    #[serde(default)]
    pub policy: PolicyDoc,
    /// Sites in the order of preference, for `policy: priority` and `policy: single`. Each is a tier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteName>,
    /// Tags of backends in the order of preference, in place of `sites`. Each is a tier; a backend with several of them
    /// belongs to the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Backends that must not be down for a tier to serve, with `policy: priority`; with fewer, the next tier serves.
    /// Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_healthy: Option<u32>,
    /// Time that the chosen backend must have been down before another one takes over, with `policy: single`. Default:
    /// 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<TimeSpan>,
    /// When traffic returns to what has recovered. Default: at once with `policy: spread`, after 30s with
    /// `policy: priority`, only by an operator's word with `policy: single`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<FailbackDoc>,
    /// What keeps a client at one backend for as long as that one serves: `cookie` (one that the edge sets),
    /// `client_address`, or a header of the request such as `header:X-Tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// What happens when no backend is up. Default: `serve_all`.
    #[serde(default)]
    pub when_all_down: WhenAllDownDoc,
    /// The page of `when_all_down: page` and of `maintenance: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageDoc>,
}

/// How backends are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PolicyDoc {
    /// All backends that are not down share the traffic by weight.
    #[default]
    Spread,
    /// The first tier that has enough backends gets all of it, by weight among its backends.
    Priority,
    /// Exactly one backend at a time, for what must not run twice. It changes only by a push; while bascule is away it
    /// stays as it is.
    Single,
}

/// When traffic returns to what has recovered: one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct FailbackDoc {
    /// Time that it must have been up without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TimeSpan>,
    /// True: only when an operator says so, with `bascule failback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
}

/// What keeps a client at one backend: `cookie` (one that the edge sets), `client_address`, or `header:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sticky {
    /// A cookie that the edge sets.
    Cookie,
    /// The client's address.
    ClientAddress,
    /// A header field of the request (RFC 9110, section 5.1).
    Header(String),
}

impl Sticky {
    fn parse(text: &str) -> Option<Self> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match text.split_once(':') {
            None if text == "cookie" => Some(Self::Cookie),
            None if text == "client_address" => Some(Self::ClientAddress),
            Some(("header", name)) if (1..=64).contains(&name.len()) && name.bytes().all(is_token) => {
                Some(Self::Header(name.to_owned()))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Sticky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cookie => f.write_str("cookie"),
            Self::ClientAddress => f.write_str("client_address"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

text_type!(
    Sticky,
    name: "Sticky",
    expected: "`cookie`, `client_address`, or `header:` and the name of a header",
    pattern: "^(cookie|client_address|header:[0-9A-Za-z_-]{1,64})$",
    examples: ["cookie", "header:X-Tenant"]
);

/// What happens when no backend of a service is up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WhenAllDownDoc {
    /// All are tried: the probes may be wrong, and a wrong answer is better than none.
    #[default]
    ServeAll,
    /// The page of `page`.
    Page,
}

/// An answer for people in place of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PageDoc {
    /// HTTP status. Default: 503, which search engines take for a passing state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// When clients may ask again (`Retry-After`, in whole seconds). Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<TimeSpan>,
    /// The page, in HTML. Default: a short sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}
