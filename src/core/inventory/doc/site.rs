use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::model::{GatewayAddress, InterfaceName, PeerKey, SiteName, Tag};

/// A site: a place that can be cut off as a whole, such as an office, a rack or a home behind one tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bascule site", extend("examples" = [{"name": "dijon", "subnets": ["10.200.1.0/24"]}]))]
pub struct SiteDoc {
    /// Unique name of the site. Backends say it in `site`.
    pub name: SiteName,
    /// For people; shown in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Networks of the site, in CIDR form. A backend of this site must have its address in one of them. Networks of two
    /// sites must not overlap.
    #[schemars(schema_with = "subnets_schema")]
    pub subnets: Vec<IpNet>,
    /// The tunnel that edges reach the site through. It takes nothing out of rotation, backends' own probes do; it tells
    /// why a site is down. Say `wireguard`, `gateway` or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelDoc>,
    /// True: no new request goes to the backends of this site while somebody works on it. They are still probed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// The tunnel to a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct TunnelDoc {
    /// The WireGuard peer that the site is, at an interface of the machine that bascule runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<WireguardDoc>,
    /// A machine at the far end that is there whenever the tunnel works, such as the site's router. It is asked for a TCP
    /// connection every 2 s; a connection that is refused counts as an answer. A firewall that drops what it does not
    /// know must let the port in. Default port: 9, which next to nobody serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayAddress>,
}

/// A peer of a WireGuard interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct WireguardDoc {
    /// The interface.
    pub interface: InterfaceName,
    /// The site's public key, as `wg show` prints it.
    pub peer: PeerKey,
}

/// The pattern is loose (any digits, dots and colons); the type is strict. A property test holds that whatever the type
/// takes matches the pattern.
pub(super) fn subnets_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "minItems": 1,
        "items": { "type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$", "examples": ["10.200.1.0/24", "fd00:200:1::/64"] },
    })
}
