use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::model::{SiteName, Tag};

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
    /// True: no new request goes to the backends of this site while somebody works on it. They are still probed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
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
