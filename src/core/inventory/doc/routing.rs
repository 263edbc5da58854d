use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written;
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
    #[schemars(range(min = 1, max = 1000), example = 2)]
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
    /// `client_address`, or a header of the request such as `header:X-Tenant`. By the address, and by a header that a
    /// request has, every backend gets as many clients as any other, whatever its `weight`; by the address `slow_start`
    /// and the `ramp` of `failback` mean nothing either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Time over which a backend that was down comes back to its share of the traffic: a quarter of it at first, and a
    /// quarter more after each third of the time. Each step is a push. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<TimeSpan>,
    /// How many backends probes may take out, with `policy: spread` and `policy: priority`. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardDoc>,
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

/// When traffic returns to what has recovered: `after` or `manual`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct FailbackDoc {
    /// Time that it must have been up without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TimeSpan>,
    /// Time over which the traffic moves back then, with `policy: priority`: a quarter of it at first, and a quarter more
    /// after each third of the time. Each step is a push. An operator's `bascule failback` moves all at once. Default: at
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<TimeSpan>,
    /// True: only when an operator says so, with `bascule failback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<bool>,
}

/// How many backends probes may take out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct GuardDoc {
    /// Backends that stay in rotation whatever probes say: a number, or a share (`50%`, rounded up) of those that are
    /// declared to take traffic. When more go down, those that went down last are held in rotation, and the status says
    /// so. An override takes out what is really down. Where all are down, `when_all_down` says what happens.
    #[serde(deserialize_with = "minimum")]
    #[schemars(schema_with = "minimum_schema")]
    pub min_healthy: Minimum,
}

/// A number of backends, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Minimum {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

/// Most backends of one service that a minimum may ask for.
const COUNT_MAX: u32 = 1000;

impl Minimum {
    fn parse(text: &str) -> Option<Self> {
        let (digits, is_share) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number: u32 = digits.parse().ok().filter(|_| is_plain)?;
        if is_share {
            (1..=100).contains(&number).then_some(Self::Percent(number))
        } else {
            (1..=COUNT_MAX).contains(&number).then_some(Self::Count(number))
        }
    }

    /// How many of so many backends these are; never more than there are.
    pub fn of(self, backends: usize) -> usize {
        let share = |percent: u32| backends.saturating_mul(percent as usize).div_ceil(100);
        match self {
            Self::Count(count) => backends.min(count as usize),
            Self::Percent(percent) => share(percent),
        }
    }
}

impl std::fmt::Display for Minimum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

text_type!(
    Minimum,
    name: "Minimum",
    expected: "a number of backends from 1 to 1000, or a share of them such as `50%`",
    pattern: "^[1-9][0-9]{0,3}%?$",
    examples: ["50%"]
);

fn minimum_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["string", "integer"],
        "pattern": Minimum::PATTERN,
        "minimum": 1,
        "maximum": COUNT_MAX,
        "examples": ["50%", 2],
    })
}

/// YAML reads `2` as a number and `50%` as text; both are minima.
fn minimum<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Minimum, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    written(&value).parse().map_err(serde::de::Error::custom)
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
    #[schemars(range(min = 200, max = 599), example = 503)]
    pub status: Option<u16>,
    /// When clients may ask again (`Retry-After`, in whole seconds). Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<TimeSpan>,
    /// The page, in HTML. Default: a short sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}
