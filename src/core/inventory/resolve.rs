//! From documents without faults to what they mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::desired::{
    Backend, BackendState, Desired, Edge, Origin, Probe, ProbeKind, Routing, Service, Site, Timeouts, Tls,
    UpstreamProtocol, UpstreamTls,
};
use super::doc::{
    BackendDoc, EdgeDoc, HealthDoc, HealthTypeDoc, ServiceDoc, SiteDoc, StateDoc, StatusRange, TlsModeDoc, UpstreamDoc,
    UpstreamProtocolDoc,
};
use super::document::Documents;
use crate::core::model::{Hostname, PathPrefix, RequestPath, Revision, TimeSpan};

/// Time between two probes of a backend, where the service does not say.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const RISE: u32 = 2;
const FALL: u32 = 3;
const DIAL: Duration = Duration::from_secs(1);
const STREAM_CLOSE: Duration = Duration::from_mins(5);

/// Gives documents their meaning. They have passed every rule.
pub(super) fn resolve(documents: Documents, revision: Revision) -> Desired {
    let Documents { sites, services, backends, edges, .. } = documents;
    let sites = sites.into_iter().map(|entry| site(entry.doc)).map(|site| (site.name.clone(), Arc::new(site)));
    let services: BTreeMap<_, _> = services
        .into_iter()
        .map(|entry| service(entry.doc))
        .map(|(service, doc)| (service.name.clone(), (Arc::new(service), doc)))
        .collect();
    let backends = backends
        .into_iter()
        .filter_map(|entry| {
            let (service, doc) = services.get(&entry.doc.service)?;
            Some(backend(entry.doc, service, doc))
        })
        .map(|backend| (backend.name.clone(), Arc::new(backend)))
        .collect();
    let edges = edges.into_iter().filter_map(|entry| edge(entry.doc)).map(|edge| (edge.name.clone(), Arc::new(edge)));
    Desired {
        revision,
        sites: sites.collect(),
        backends,
        edges: edges.collect(),
        services: services.into_iter().map(|(name, (service, _))| (name, service)).collect(),
    }
}

fn site(doc: SiteDoc) -> Site {
    let SiteDoc { name, description, subnets, tags } = doc;
    Site { name, description, subnets, tags: tags.into_iter().collect() }
}

fn service(doc: ServiceDoc) -> (Service, ServiceDoc) {
    let ServiceDoc { name, description, domains, paths: _, health, routing: _, upstream, timeouts, tags } = doc.clone();
    let paths = paths(&doc);
    let mut domains = domains;
    domains.sort();
    let host = domains.iter().find(|host| !host.is_wildcard()).cloned();
    let upstream = protocol(upstream, host.as_ref());
    let tls = match &upstream {
        UpstreamProtocol::Http => None,
        UpstreamProtocol::Https(tls) => Some(tls.clone()),
    };
    let timeouts = timeouts.unwrap_or_default();
    let service = Service {
        name,
        description,
        domains,
        paths,
        probe: probe(health, host, tls),
        // Every other policy is refused by a rule in this version.
        routing: Routing::Spread,
        upstream,
        timeouts: Timeouts {
            dial: timeouts.dial.map_or(DIAL, TimeSpan::get),
            response: timeouts.response.map(TimeSpan::get),
            stream_close: timeouts.stream_close.map_or(STREAM_CLOSE, TimeSpan::get),
        },
        tags: tags.into_iter().collect(),
    };
    (service, doc)
}

fn protocol(doc: Option<UpstreamDoc>, host: Option<&Hostname>) -> UpstreamProtocol {
    match doc {
        Some(UpstreamDoc { protocol: UpstreamProtocolDoc::Https, server_name, verify }) => {
            let server_name = server_name.or_else(|| host.cloned());
            UpstreamProtocol::Https(UpstreamTls { server_name, verify: verify.unwrap_or(true) })
        }
        Some(UpstreamDoc { protocol: UpstreamProtocolDoc::Http, .. }) | None => UpstreamProtocol::Http,
    }
}

/// The path prefixes of a service, sorted, once each.
pub(super) fn paths(doc: &ServiceDoc) -> Vec<PathPrefix> {
    let mut paths = if doc.paths.is_empty() { vec![PathPrefix::root()] } else { doc.paths.clone() };
    paths.sort();
    paths.dedup();
    paths
}

/// What a probe of the service's backends tries.
pub(super) fn health_type(doc: &ServiceDoc) -> HealthTypeDoc {
    doc.health.as_ref().map_or(HealthTypeDoc::Tcp, |health| health.kind)
}

fn probe(doc: Option<HealthDoc>, host: Option<Hostname>, tls: Option<UpstreamTls>) -> Probe {
    let doc = doc.unwrap_or_else(|| HealthDoc { kind: HealthTypeDoc::Tcp, ..HealthDoc::default() });
    let HealthDoc { kind, path, interval, timeout, rise, fall, expect } = doc;
    let interval = interval.map_or(INTERVAL, TimeSpan::get);
    let kind = match kind {
        HealthTypeDoc::Tcp => ProbeKind::Tcp,
        HealthTypeDoc::Http => ProbeKind::Http {
            path: path.unwrap_or_else(RequestPath::root),
            host,
            tls,
            expect: expect.map_or_else(|| vec![StatusRange::SUCCESS], |expect| expect.status),
        },
    };
    Probe {
        kind,
        interval,
        timeout: timeout.map_or(TIMEOUT.min(interval), TimeSpan::get),
        rise: rise.unwrap_or(RISE),
        fall: fall.unwrap_or(FALL),
    }
}

fn backend(doc: BackendDoc, service: &Service, service_doc: &ServiceDoc) -> Backend {
    let own_path = health_path(&doc, service_doc);
    let BackendDoc { name, service: service_name, site, addr, port, health: _, weight, tags, state } = doc;
    let mut probe = service.probe.clone();
    if let (ProbeKind::Http { path, .. }, Some(own)) = (&mut probe.kind, own_path) {
        *path = own;
    }
    Backend {
        name,
        service: service_name,
        site,
        addr,
        port,
        probe,
        weight,
        tags: tags.into_iter().collect(),
        state: match state {
            StateDoc::Active => BackendState::Active,
            StateDoc::Drain => BackendState::Drain,
            StateDoc::Disabled => BackendState::Disabled,
        },
        origin: Origin::Declared,
    }
}

/// The path that a backend is probed at: its own, or the service's. None where its own is not one, which a rule reports.
pub(super) fn health_path(backend: &BackendDoc, service: &ServiceDoc) -> Option<RequestPath> {
    match &backend.health {
        None => {
            let path = service.health.as_ref().and_then(|health| health.path.clone());
            Some(path.unwrap_or_else(RequestPath::root))
        }
        Some(path) if path.starts_with('/') => path.parse().ok(),
        Some(url) => url_path(&url::Url::parse(url).ok()?),
    }
}

/// Path and query of a URL.
pub(super) fn url_path(url: &url::Url) -> Option<RequestPath> {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path()).parse().ok()
}

fn edge(doc: EdgeDoc) -> Option<Edge> {
    let EdgeDoc { name, admin, mut listen, tls } = doc;
    listen.sort();
    let tls = match tls.mode {
        // Without an e-mail address a rule has refused it.
        TlsModeDoc::Acme => Tls::Acme { email: tls.email? },
        TlsModeDoc::Internal => Tls::Internal,
        TlsModeDoc::Off => Tls::Off,
    };
    Some(Edge { name, admin, listen, tls })
}
