use serde_json::Value;

use super::checks::Checking;
use super::evidence;
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

/// What Caddy calls its HTTP server among its loggers.
const SERVER: &str = "http";
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
    let logging = if is_all { logging(&parts.checking) } else { None };
    let config = Config { apps: Apps { http, tls: tls_app(effective, edge) }, logging };
    let bytes = written(&config);
    Rendered { edge: edge.name.clone(), digest: Digest::of(&bytes), bytes }
}

/// What Caddy logs.
///
/// It would log every check of a backend that is down or held back, four times a second for as long as it is; bascule logs and
/// shows the changes.
///
/// With evidence, requests are logged, and bascule alone gets that. The rest of what Caddy's server logs then has a log of
/// its own, from warnings up: where any log took less, Caddy would put every request into words, also those that nobody is
/// told of, which costs it a sixth of its time instead of a thirtieth. What is lost are a few lines at each load.
fn logging(checking: &Checking<'_>) -> Option<Logging> {
    const CHECKS: &str = "http.handlers.reverse_proxy.health_checker.active";
    let bascule = evidence::log(checking);
    let (default, http) = if bascule.is_some() {
        // By its whole name: a log takes no module by the beginning of it. No other handler that is rendered logs anything.
        let include = vec![SERVER, "http.handlers.reverse_proxy"];
        let http = Log { exclude: vec![CHECKS, evidence::ACCESS], include, level: Some("WARN") };
        (Log { exclude: vec![SERVER], ..Log::default() }, Some(http))
    } else {
        (Log { exclude: vec![CHECKS], ..Log::default() }, None)
    };
    checking.is_relay().then_some(Logging { logs: Logs { bascule, default, http } })
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
