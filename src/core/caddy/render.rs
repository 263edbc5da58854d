use serde_json::{Value, json};

use super::matcher::Overlaps;
use super::server;
use crate::core::inventory::{Edge, Tls};
use crate::core::model::{Digest, EdgeName, Hostname, ServiceName};
use crate::core::routing::Effective;

/// The configuration of one edge, without Caddy's `admin` section, which stays as the edge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The edge it is for.
    pub edge: EdgeName,
    /// The configuration.
    pub config: Value,
    /// Its bytes: sorted keys, no blanks. The same input gives the same bytes.
    pub bytes: Vec<u8>,
    /// Hash of the bytes.
    pub digest: Digest,
}

const ROUTE_ID_PREFIX: &str = "service-";

/// The `@id` of a service's route.
pub(super) fn route_id(service: &ServiceName) -> String {
    format!("{ROUTE_ID_PREFIX}{service}")
}

/// The service that a route's `@id` belongs to; none where bascule did not make it.
pub fn service_of_route_id(id: &str) -> Option<&str> {
    id.strip_prefix(ROUTE_ID_PREFIX)
}

/// Renders what one edge should run.
pub fn render(effective: &Effective, edge: &Edge) -> Rendered {
    let overlaps = Overlaps::of(effective);
    let mut http = json!({ "servers": server::servers(effective, edge, &overlaps) });
    for (key, port) in server::scheme_ports(edge) {
        http[key] = json!(port);
    }
    let mut apps = json!({ "http": http });
    if let Some(tls) = tls_app(effective, edge) {
        apps["tls"] = tls;
    }
    // serde_json's map is ordered by key, so these bytes are canonical.
    let config = json!({ "apps": apps });
    let bytes = config.to_string().into_bytes();
    Rendered { edge: edge.name.clone(), digest: Digest::of(&bytes), config, bytes }
}

/// Certificates are named here one by one, and Caddy's automatic HTTPS is off: what an edge asks a public authority for
/// is then only what the inventory says, and no redirect server appears that nobody declared.
fn tls_app(effective: &Effective, edge: &Edge) -> Option<Value> {
    let issuer = match &edge.tls {
        Tls::Off => return None,
        Tls::Internal => json!({ "module": "internal" }),
        Tls::Acme { email } => json!({ "module": "acme", "email": email }),
    };
    let names = all_domains(effective);
    if names.is_empty() {
        return None;
    }
    Some(json!({
        "automation": { "policies": [{ "subjects": names, "issuers": [issuer] }] },
        "certificates": { "automate": names },
    }))
}

/// Every host name that some service answers, sorted, once each.
pub(super) fn all_domains(effective: &Effective) -> Vec<&Hostname> {
    let mut names: Vec<_> = effective.services.values().flat_map(|service| &service.service.domains).collect();
    names.sort_unstable();
    names.dedup();
    names
}
