use std::collections::BTreeMap;
use std::time::Duration;

use super::{View, question, several};
use crate::core::inventory::doc::{BackendDoc, HealthDoc, HealthTypeDoc, ServiceDoc, StateDoc, UpstreamProtocolDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::inventory::probe_target::{ProbeTarget, TargetFault};
use crate::core::model::RequestPath;

/// `fast-interval`, `health-url`, `health-with-grpc`, `health-with-tcp`, `latency-over-timeout`, `mixed-health-path`,
/// `several-probes`, `timeout-over-interval`, and
/// what is said of questions.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in &view.documents.services {
        if let Some(health) = &service.doc.health {
            findings.extend(timeout_over_interval(service, health));
            findings.extend(fast_over_usual(service, health));
            findings.extend(latency_over_timeout(service, health));
            findings.extend(question::check(service, health));
        }
        findings.extend(mixed_paths(view, service));
    }
    for backend in &view.documents.backends {
        if let Some(service) = view.services.get(&backend.doc.service) {
            findings.extend(backend_health(service, backend));
        }
    }
    findings
}

fn timeout_over_interval(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    let timeout = health.timeout?.get();
    let interval = health.interval();
    if timeout <= interval {
        return None;
    }
    let (timeout, interval) = (Spelled(timeout), Spelled(interval));
    let message = format!("a probe may take {timeout}, longer than the {interval} between two of them");
    let finding = Finding::error("timeout-over-interval", service.at("/health/timeout"), message);
    let finding = match health.interval {
        Some(_) => finding.related(service.at("/health/interval"), "the interval"),
        None => finding,
    };
    Some(finding.hint(format!("write `timeout: {interval}` or less, or a longer `interval`")))
}

fn fast_over_usual(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    let fast = health.fast_interval?.get();
    let interval = health.interval();
    if fast <= interval {
        return None;
    }
    let (fast, interval) = (Spelled(fast), Spelled(interval));
    let message = format!("a backend in doubt would be asked each {fast}, and one that is not each {interval}");
    let finding = Finding::error("fast-interval", service.at("/health/fast_interval"), message);
    Some(finding.hint(format!("write `fast_interval: {interval}` or less, or a longer `interval`")))
}

fn latency_over_timeout(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    let latency = health.latency?.get();
    let timeout = health.timeout();
    if latency < timeout {
        return None;
    }
    let (latency, timeout) = (Spelled(latency), Spelled(timeout));
    let message = format!("no answer is too slow after {latency}: a probe times out after {timeout}");
    let finding = Finding::error("latency-over-timeout", service.at("/health/latency"), message);
    Some(
        finding.hint(format!("write less than {timeout}, or a longer `timeout`; remove it to take any answer in time")),
    )
}

struct Spelled(Duration);

impl std::fmt::Display for Spelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) { write!(f, "{}s", millis / 1000) } else { write!(f, "{millis}ms") }
    }
}

fn backend_health(service: &Declared<ServiceDoc>, backend: &Declared<BackendDoc>) -> Option<Finding> {
    let text = backend.doc.health.as_ref()?;
    let name = &service.doc.name;
    if !is_http(&service.doc) {
        return Some(no_path(service, backend));
    }
    let protocol = match service.doc.upstream.as_ref().map(|upstream| upstream.protocol) {
        Some(UpstreamProtocolDoc::Https) => "https",
        Some(UpstreamProtocolDoc::Http) | None => "http",
    };
    let BackendDoc { addr, port, .. } = &backend.doc;
    let fault = ProbeTarget { protocol, addr: *addr, port: port.get() }.path(text).err()?;
    let path = text.splitn(4, '/').nth(3).unwrap_or_default();
    let own = std::net::SocketAddr::new(*addr, port.get());
    let cure = format!("write the path alone, `/{path}`, or `{protocol}://{own}/{path}`");
    let (message, hint) = match fault {
        TargetFault::Protocol => {
            (format!("service `{name}` speaks {protocol} with its backends, not the protocol here"), cure)
        }
        TargetFault::Host => (format!("the URL is not at this backend's own address {addr}"), cure),
        TargetFault::Port => (format!("the URL is not at this backend's own port {port}"), cure),
        TargetFault::Shape => (format!("`{text}` is not a URL that a probe can ask for"), cure_of_shape(protocol, own)),
    };
    Some(Finding::error("health-url", backend.at("/health"), message).hint(hint))
}

/// A path of a backend whose service is not probed by HTTP.
fn no_path(service: &Declared<ServiceDoc>, backend: &Declared<BackendDoc>) -> Finding {
    let name = &service.doc.name;
    let at = backend.key("/health");
    if let Some(list) = service.doc.health.as_ref().and_then(several::list) {
        let message = format!("service `{name}` is probed in several ways, and this is one path");
        return Finding::error("several-probes", at, message)
            .hint(format!("remove `health` here, and write the path in an item of `{list}` in service `{name}`"))
            .related(service.key(format!("/health/{list}")), "says what is tried");
    }
    let other_type = format!("remove `health` here, or write `type: http` in service `{name}`");
    match service.doc.health.as_ref().map(|health| health.kind.unwrap_or_default()) {
        None => {
            let message = format!("service `{name}` is probed by TCP connections, which have no path");
            Finding::error("health-with-tcp", at, message)
                .hint(format!("add `health: {{ path: / }}` to service `{name}`, or remove `health` here"))
                .related(service.at("/name"), "the service has no `health`")
        }
        Some(HealthTypeDoc::Grpc) => {
            let message = format!("service `{name}` is probed by gRPC health checks, which have one path");
            Finding::error("health-with-grpc", at, message)
                .hint(other_type)
                .related(service.at("/health/type"), "asks for the health of a gRPC service")
        }
        Some(HealthTypeDoc::Http | HealthTypeDoc::Tcp) => {
            let message = format!("service `{name}` is probed by TCP connections, which have no path");
            Finding::error("health-with-tcp", at, message)
                .hint(other_type)
                .related(service.at("/health/type"), "only connects")
        }
    }
}

fn cure_of_shape(protocol: &str, own: std::net::SocketAddr) -> String {
    format!(
        "write a path such as `/health`, or `{protocol}://{own}/health`: plain URL characters, no user, no fragment"
    )
}

/// Caddy knows one path a service. While bascule answers, every backend is probed at its own; when bascule is gone, Caddy
/// checks them all at the service's.
fn mixed_paths(view: &View<'_>, service: &Declared<ServiceDoc>) -> Option<Finding> {
    if !is_http(&service.doc) {
        return None;
    }
    let standard = service.doc.health.as_ref().and_then(|health| health.path.clone()).unwrap_or_else(RequestPath::root);
    let mut by_path: BTreeMap<String, &Declared<BackendDoc>> = BTreeMap::new();
    for backend in view.backends_of(&service.doc.name) {
        if backend.doc.state == StateDoc::Disabled {
            continue;
        }
        let own = backend.doc.health.as_deref().and_then(path_of);
        by_path.entry(own.unwrap_or_else(|| standard.as_str().to_owned())).or_insert(backend);
    }
    let (other, backend) = by_path.iter().find(|(path, _)| path.as_str() != standard.as_str())?;
    let (finding_at, hint) = (backend.at("/health"), format!("use `{standard}` on every backend, as the service says"));
    let message = format!(
        "the edge checks service `{}` at `{standard}` when bascule is gone, and this backend would be asked for that and \
         not for `{other}`",
        service.doc.name
    );
    let place = if service.doc.health.as_ref().is_some_and(|health| health.path.is_some()) {
        "/health/path"
    } else {
        "/health"
    };
    let related = service.at(place);
    Some(Finding::warning("mixed-health-path", finding_at, message).hint(hint).related(related, "the service's path"))
}

/// The path and query of a `health` value, as far as it can be told.
fn path_of(text: &str) -> Option<String> {
    if text.starts_with('/') {
        return Some(text.to_owned());
    }
    let url = url::Url::parse(text).ok()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", url.path()))
}

/// A service without `health` is probed by TCP connections.
fn is_http(service: &ServiceDoc) -> bool {
    let is_http = |health: &HealthDoc| health.kind.unwrap_or_default() == HealthTypeDoc::Http;
    service.health.as_ref().is_some_and(|health| is_http(health) && several::list(health).is_none())
}
