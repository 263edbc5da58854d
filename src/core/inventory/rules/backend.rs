//! A backend fits its site and its service.

use std::collections::BTreeMap;

use crate::core::inventory::doc::{BackendDoc, HealthTypeDoc, ServiceDoc, SiteDoc, UpstreamProtocolDoc};
use crate::core::inventory::document::{Documents, Entry};
use crate::core::inventory::schema::{Kind, similar};
use crate::core::inventory::{codes, resolve};
use crate::core::model::{Diagnostic, RequestPath};

pub(super) fn check(documents: &Documents, faults: &mut Vec<Diagnostic>) {
    let sites: BTreeMap<&str, &Entry<SiteDoc>> =
        documents.sites.iter().map(|entry| (entry.doc.name.as_str(), entry)).collect();
    let services: BTreeMap<&str, &Entry<ServiceDoc>> =
        documents.services.iter().map(|entry| (entry.doc.name.as_str(), entry)).collect();
    for entry in &documents.backends {
        match sites.get(entry.doc.site.as_str()) {
            Some(site) => subnet(entry, site, faults),
            None if documents.may_exist(Kind::Site, entry.doc.site.as_str()) => {}
            None => faults.push(unknown(entry, Kind::Site, entry.doc.site.as_str(), sites.keys().copied())),
        }
        match services.get(entry.doc.service.as_str()) {
            Some(service) => health(entry, service, faults),
            None if documents.may_exist(Kind::Service, entry.doc.service.as_str()) => {}
            None => faults.push(unknown(entry, Kind::Service, entry.doc.service.as_str(), services.keys().copied())),
        }
    }
}

fn unknown<'a>(
    entry: &Entry<BackendDoc>,
    kind: Kind,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let code = if kind == Kind::Site { codes::UNKNOWN_SITE } else { codes::UNKNOWN_SERVICE };
    let hint = match similar(name, known.clone()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.clone().next().is_none() => format!("declare it in {}/{name}.yaml", kind.folder()),
        None => format!("declare it in {}/{name}.yaml, or name one of {}", kind.folder(), list(known)),
    };
    entry.error(&format!("/{kind}"), code, format!("no {kind} is named `{name}`"), hint)
}

/// At most ten names: a hint is read, not searched.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = names.collect();
    let shown = all.iter().take(10).copied().collect::<Vec<_>>().join(", ");
    if all.len() > 10 { format!("{shown}, …") } else { shown }
}

fn subnet(entry: &Entry<BackendDoc>, site: &Entry<SiteDoc>, faults: &mut Vec<Diagnostic>) {
    let addr = entry.doc.addr;
    if site.doc.subnets.iter().any(|subnet| subnet.contains(&addr)) {
        return;
    }
    let subnets = site.doc.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let message = format!("{addr} is in no subnet of site `{}`", entry.doc.site);
    let hint = format!("correct the address or the site, or add a subnet to the site; it has {subnets}");
    let mut fault = entry.error("/addr", codes::OUTSIDE_SUBNETS, message, hint);
    fault.related.push(site.related("/subnets", "the site's subnets"));
    faults.push(fault);
}

fn health(entry: &Entry<BackendDoc>, service: &Entry<ServiceDoc>, faults: &mut Vec<Diagnostic>) {
    let Some(health) = &entry.doc.health else { return };
    if resolve::health_type(&service.doc) == HealthTypeDoc::Tcp {
        let message = format!("service `{}` is probed by TCP, which has no URL", service.doc.name);
        let hint = "remove `health` here, or give the service a `health` with `type: http`";
        let mut fault = entry.error("/health", codes::HEALTH_WITH_TCP, message, hint);
        fault.related.push(service.related("/health", "the service's probe"));
        faults.push(fault);
        return;
    }
    if health.starts_with('/') {
        if health.parse::<RequestPath>().is_err() {
            let message = format!("`{health}` is not {}", RequestPath::EXPECTED);
            faults.push(entry.error("/health", codes::BAD_VALUE, message, "percent-encode every other character"));
        }
        return;
    }
    if let Err(message) = own_url(&entry.doc, &service.doc, health) {
        let scheme = scheme(&service.doc);
        let own = std::net::SocketAddr::new(entry.doc.addr, entry.doc.port.get());
        let hint =
            format!("write a path such as `/health`, or {scheme}://{own}/…; the edge checks the address that it dials");
        faults.push(entry.error("/health", codes::HEALTH_URL, message, hint));
    }
}

fn scheme(service: &ServiceDoc) -> &'static str {
    match service.upstream.as_ref().map(|upstream| upstream.protocol) {
        Some(UpstreamProtocolDoc::Https) => "https",
        Some(UpstreamProtocolDoc::Http) | None => "http",
    }
}

/// Holds a health URL against the backend's own address.
fn own_url(backend: &BackendDoc, service: &ServiceDoc, health: &str) -> Result<(), String> {
    let url = url::Url::parse(health).map_err(|error| format!("`{health}` is not a URL: {error}"))?;
    let scheme = scheme(service);
    if url.scheme() != scheme {
        return Err(format!("the health URL is {}, and the service's backends speak {scheme}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the health URL carries credentials".to_owned());
    }
    let is_own_host = match url.host() {
        Some(url::Host::Ipv4(addr)) => backend.addr == addr,
        Some(url::Host::Ipv6(addr)) => backend.addr == addr,
        Some(url::Host::Domain(_)) | None => false,
    };
    if !is_own_host || url.port_or_known_default() != Some(backend.port.get()) {
        let own = std::net::SocketAddr::new(backend.addr, backend.port.get());
        return Err(format!("the health URL is not at this backend's own address, {own}"));
    }
    resolve::url_path(&url).map(drop).ok_or_else(|| format!("`{}` is not {}", url.path(), RequestPath::EXPECTED))
}
