use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::model::{BackendName, Port, ServiceName, SiteName, Tag};

/// A backend: one instance of a service at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bascule backend", extend("examples" = [{
    "service": "api", "name": "api-dijon-1", "site": "dijon", "addr": "10.200.1.23", "port": 8080,
}]))]
pub struct BackendDoc {
    /// Unique name of the backend, among all backends.
    pub name: BackendName,
    /// The service that this backend is an instance of.
    pub service: ServiceName,
    /// The site where it runs.
    pub site: SiteName,
    /// IP address that edges dial. It must lie in one of the site's subnets.
    #[schemars(schema_with = "addr_schema")]
    pub addr: IpAddr,
    /// TCP port that edges dial.
    #[schemars(schema_with = "port_schema")]
    pub port: Port,
    /// Where to probe, when it is not where the service says: a path (`/health`) or a whole URL at this backend's own
    /// address and port (`http://10.200.1.23:8080/health`). Everything else about the probe is the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^(/|https?://)[^\\s{}#]*$", "examples" = ["/health", "http://10.200.1.23:8080/health"]))]
    pub health: Option<String>,
    /// Share of the traffic, relative to the service's other backends. 0 is no traffic. Default: 1.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0, max = 1000), example = 3)]
    pub weight: u16,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Whether it takes traffic. Default: active.
    #[serde(default)]
    pub state: StateDoc,
}

/// Whether a backend takes traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StateDoc {
    /// Takes traffic.
    #[default]
    Active,
    /// Takes no new request; streams that are open may end by themselves. Still probed.
    Drain,
    /// Not routed and not probed.
    Disabled,
}

fn default_weight() -> u16 {
    1
}

fn addr_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "pattern": "^([0-9.]+|[0-9a-fA-F:.]+)$",
        "examples": ["10.200.1.23"],
    })
}

fn port_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535, "examples": [8080] })
}
