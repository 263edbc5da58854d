use std::collections::BTreeMap;
use std::time::Duration;

use super::View;
use crate::core::inventory::desired::BodyPattern;
use crate::core::inventory::doc::{
    BackendDoc, BodyDoc, HealthDoc, HealthTypeDoc, ServiceDoc, StateDoc, UpstreamProtocolDoc,
};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::inventory::probe_target::{ProbeTarget, TargetFault};
use crate::core::inventory::resolve::DEFAULT_INTERVAL;
use crate::core::model::{RequestPath, TimeSpan};

/// `body-expectation`, `timeout-over-interval`, `health-with-tcp`, `health-url`, `mixed-health-path`.
pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in &view.documents.services {
        if let Some(health) = &service.doc.health {
            findings.extend(timeout_over_interval(service, health));
            findings.extend(unused_with_tcp(service, health));
            findings.extend(body_expectation(service, health));
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
    let interval = health.interval.map_or(DEFAULT_INTERVAL, TimeSpan::get);
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

struct Spelled(Duration);

impl std::fmt::Display for Spelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) { write!(f, "{}s", millis / 1000) } else { write!(f, "{millis}ms") }
    }
}

/// A TCP probe has no path and no answer to judge.
fn unused_with_tcp(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Vec<Finding> {
    if health.kind != HealthTypeDoc::Tcp {
        return Vec::new();
    }
    let keys = [("path", health.path.is_some()), ("expect", health.expect.is_some())];
    let finding = |(key, _)| {
        let message = format!("`health.{key}` means nothing with `type: tcp`");
        Finding::error("health-with-tcp", service.key(format!("/health/{key}")), message)
            .hint("remove it, or write `type: http`")
            .related(service.at("/health/type"), "only connects")
    };
    keys.into_iter().filter(|(_, is_there)| *is_there).map(finding).collect()
}

/// Exactly one way to judge a body, and one that can be followed.
fn body_expectation(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    const AT: &str = "/health/expect/body";
    let BodyDoc { contains, matches, json, equals } = health.expect.as_ref()?.body.as_ref()?;
    let fault = |at: &str, message: String, hint: &str| {
        Some(Finding::error("body-expectation", service.at(format!("{AT}{at}")), message).hint(hint))
    };
    let ways = [contains.is_some(), matches.is_some(), json.is_some()].into_iter().filter(|is_there| *is_there).count();
    match (ways, json, equals) {
        (1, Some(_), None) => {
            return fault("", "`json` has no `equals` to compare with".to_owned(), "add `equals: ok`, or what it is");
        }
        (1, Some(_), Some(_)) | (1, None, None) => {}
        (1, None, Some(_)) => {
            let message = "`equals` means nothing without `json`".to_owned();
            return fault("/equals", message, "write `json: /status` beside it, or remove it");
        }
        _ => {
            let message = format!("a body is judged in one way, and here are {ways}");
            return fault("", message, "write one of `contains`, `matches`, and `json` with `equals`");
        }
    }
    if let Some(pointer) = json
        && !is_json_pointer(pointer)
    {
        let message = format!("`{pointer}` is not a JSON pointer");
        return fault(
            "/json",
            message,
            "write it like `/status` or `/checks/0/name`; `~1` stands for `/`, `~0` for `~`",
        );
    }
    let reason = BodyPattern::compile(matches.as_deref()?).err()?;
    let message = format!("this regular expression cannot be used: {reason}");
    fault("/matches", message, "correct it, or write `contains` for a plain text")
}

/// RFC 6901, section 3.
fn is_json_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/')) && escapes.all(|rest| rest.starts_with(['0', '1']))
}

fn backend_health(service: &Declared<ServiceDoc>, backend: &Declared<BackendDoc>) -> Option<Finding> {
    let text = backend.doc.health.as_ref()?;
    let name = &service.doc.name;
    if !is_http(&service.doc) {
        let message = format!("service `{name}` is probed by TCP connections, which have no path");
        let finding = Finding::error("health-with-tcp", backend.key("/health"), message);
        return Some(match &service.doc.health {
            Some(_) => finding
                .hint(format!("remove `health` here, or write `type: http` in service `{name}`"))
                .related(service.at("/health/type"), "only connects"),
            None => finding
                .hint(format!("add `health: {{ path: / }}` to service `{name}`, or remove `health` here"))
                .related(service.at("/name"), "the service has no `health`"),
        });
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
    service.health.as_ref().is_some_and(|health| health.kind == HealthTypeDoc::Http)
}
