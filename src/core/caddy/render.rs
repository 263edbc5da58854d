use serde_json::Value;

use super::checks::Checking;
use super::handler::{self, go_duration};
use super::json::{Apps, Automation, Certificates, Config, HttpApp, Issuer, Log, Logging, Logs, Policy, TlsApp};
use super::matcher::Overlaps;
use super::pool::Pool;
use super::server::{self, Parts};
use crate::core::inventory::{Edge, Scope, Tls};
use crate::core::model::{Digest, EdgeName, Hostname, ServiceName};
use crate::core::routing::Effective;

/// The configuration of one edge, without Caddy's `admin` section, which stays as the edge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The edge it is for.
    pub edge: EdgeName,
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

impl Rendered {
    /// The configuration as a tree. It takes ten times the memory of the bytes, so it is made where it is compared and
    /// kept no longer.
    pub fn config(&self) -> Value {
        tree(&self.bytes)
    }
}

/// Renders what one edge should run, with the backends of `pool` among its upstreams though they get no traffic now.
pub fn render(effective: &Effective, edge: &Edge, pool: &Pool) -> Rendered {
    let overlaps = Overlaps::of(effective);
    let is_all = edge.scope == Scope::Config;
    // What all servers share is not bascule's where some of them are not.
    let (http_port, https_port) = if is_all { server::scheme_ports(edge) } else { (None, None) };
    let checking = Checking::of(effective, edge);
    let sweeps = handler::sweeps(effective, &checking, pool);
    let parts = Parts { effective, overlaps: &overlaps, checking, pool, sweeps: &sweeps };
    let grace_period = edge.grace.map(go_duration);
    let http = HttpApp { grace_period, http_port, https_port, servers: server::servers(parts, edge) };
    let logging = (is_all && parts.checking.is_relay()).then(quiet_checks);
    let config = Config { apps: Apps { http, tls: tls_app(effective, edge) }, logging };
    let bytes = written(&config);
    Rendered { edge: edge.name.clone(), digest: Digest::of(&bytes), bytes }
}

/// Caddy would log every check of a backend that is down or held back, twice a second for as long as it is; bascule logs
/// and shows the changes.
fn quiet_checks() -> Logging {
    Logging { logs: Logs { default: Log { exclude: ["http.handlers.reverse_proxy.health_checker.active"] } } }
}

fn written(config: &Config<'_>) -> Vec<u8> {
    serde_json::to_vec(config).expect("keys are texts, and memory takes every byte")
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("rendered bytes are JSON")
}

/// Certificates are named here one by one, and Caddy's automatic HTTPS is off: what an edge asks a public authority for
/// is then only what the inventory says, and no redirect server appears that nobody declared.
fn tls_app<'e>(effective: &'e Effective, edge: &'e Edge) -> Option<TlsApp<'e>> {
    let issuer = match &edge.tls {
        Tls::Off | Tls::Edge => return None,
        Tls::Internal => Issuer { email: None, module: "internal" },
        Tls::Acme { email } => Issuer { email: Some(email), module: "acme" },
    };
    let names = all_domains(effective);
    if names.is_empty() {
        return None;
    }
    Some(TlsApp {
        automation: Automation { policies: [Policy { issuers: [issuer], subjects: names.clone() }] },
        certificates: Certificates { automate: names },
    })
}

/// Every host name that some service answers, sorted, once each.
pub(super) fn all_domains(effective: &Effective) -> Vec<&Hostname> {
    let mut names: Vec<_> = effective.services.values().flat_map(|service| &service.service.domains).collect();
    names.sort_unstable();
    names.dedup();
    names
}
