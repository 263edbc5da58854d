//! What a probe asks and which answer it takes, by itself.

use std::collections::BTreeMap;

use crate::core::inventory::desired::BodyPattern;
use crate::core::inventory::doc::{BodyDoc, HealthDoc, HealthTypeDoc, MethodDoc, ServiceDoc, UpstreamProtocolDoc};
use crate::core::inventory::finding::{Declared, Finding};
use crate::core::inventory::yaml::escape;
use crate::core::model::Hostname;

/// Headers that say how a message is framed or how a connection is used, in lower case: the prober and Caddy write them.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-encoding",
];
/// Beginning of the headers by which an edge's relay speaks with bascule, in lower case.
const OWN: &str = "bascule-";

/// `body-expectation`, `health-header`, `health-host`, `health-tls`, `health-with-grpc`, `health-with-head`,
/// `health-with-http`, `health-with-tcp`.
pub(super) fn check(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Vec<Finding> {
    let mut findings = unused(service, health);
    findings.extend(headers(service, health));
    findings.extend(wildcard_host(service, health));
    findings.extend(body_of_head(service, health));
    findings.extend(body_expectation(service, health));
    findings.extend(certificates_of_plain_http(service, health));
    findings
}

fn certificates_of_plain_http(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    health.tls.as_ref().filter(|_| health.kind != HealthTypeDoc::Tcp)?;
    let upstream = service.doc.upstream.as_ref();
    if upstream.is_some_and(|upstream| upstream.protocol == UpstreamProtocolDoc::Https) {
        return None;
    }
    let message = "probes over plain HTTP see no certificate";
    let finding = Finding::error("health-tls", service.key("/health/tls"), message);
    Some(finding.hint("remove it, or write `upstream: { protocol: https }`"))
}

fn headers(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in &health.headers {
        let pointer = format!("/health/headers/{}", escape(name));
        let mut fault = |at, message: String, hint: &str| {
            findings.push(Finding::error("health-header", at, message).hint(hint));
        };
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            let hint = "write letters, digits and dashes, such as `X-Probe`";
            fault(service.key(&*pointer), format!("`{name}` cannot be the name of a header"), hint);
        } else if lower == "host" {
            let hint = "write `host: api.acecinema.fr` under `health` instead";
            fault(service.key(&*pointer), format!("`{name}` has a key of its own"), hint);
        } else if FRAMING.contains(&lower.as_str()) || lower.starts_with(OWN) || is_of_grpc(health, &lower) {
            let message = format!("`{name}` is written by bascule and Caddy themselves");
            fault(service.key(&*pointer), message, "remove it, or choose another name");
        } else if let Some(other) = seen.insert(lower, name) {
            let message = format!("`{name}` and `{other}` are one header");
            fault(service.key(&*pointer), message, "remove one of them");
        }
        if !is_field_value(value) {
            let hint = "write visible ASCII, with blanks only between";
            fault(service.at(&*pointer), format!("the value of `{name}` cannot be sent in a header"), hint);
        }
    }
    findings
}

/// Headers that a gRPC call says itself.
fn is_of_grpc(health: &HealthDoc, lower: &str) -> bool {
    health.kind == HealthTypeDoc::Grpc && (lower == "content-type" || lower.starts_with("grpc-"))
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(is_allowed)
}

/// RFC 9110, section 5.5, without what is obsolete.
fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim() == value
}

fn wildcard_host(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    health.host.as_ref().filter(|host| Hostname::is_wildcard(host))?;
    let message = "a probe asks for one host, not for a wildcard";
    Some(
        Finding::error("health-host", service.at("/health/host"), message)
            .hint("write a name that the backends answer for"),
    )
}

fn body_of_head(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Option<Finding> {
    health.expect.as_ref()?.body.as_ref()?;
    if health.method != Some(MethodDoc::Head) {
        return None;
    }
    let message = "the answer to `method: HEAD` has no body to judge";
    let finding = Finding::error("health-with-head", service.key("/health/expect/body"), message);
    Some(
        finding
            .hint("remove it, or write `method: GET`")
            .related(service.at("/health/method"), "asks without the body"),
    )
}

/// Keys that another kind of probe has: a TCP probe has no request and no answer to judge, a gRPC check has one path, one method
/// and one answer that passes, and only it asks for a service.
fn unused(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Vec<Finding> {
    use HealthTypeDoc::{Grpc, Http, Tcp};
    let HealthDoc { kind, service: asked, path, method, host, headers, expect, tls, report, .. } = health;
    let keys: [(&str, bool, &[HealthTypeDoc]); 8] = [
        ("service", asked.is_some(), &[Grpc]),
        ("path", path.is_some(), &[Http]),
        ("method", method.is_some(), &[Http]),
        ("host", host.is_some(), &[Http, Grpc]),
        ("headers", !headers.is_empty(), &[Http, Grpc]),
        ("expect", expect.is_some(), &[Http]),
        ("tls", tls.is_some(), &[Http, Grpc]),
        ("report", *report, &[Http, Grpc]),
    ];
    let (code, name, does) = match kind {
        Http => ("health-with-http", "http", "asks for a path"),
        Grpc => ("health-with-grpc", "grpc", "asks for the health of a gRPC service"),
        Tcp => ("health-with-tcp", "tcp", "only connects"),
    };
    let is_unused = |(_, is_there, kinds): &(&str, bool, &[HealthTypeDoc])| *is_there && !kinds.contains(kind);
    let finding = |(key, _, kinds): (&str, bool, &[HealthTypeDoc])| {
        let wanted = if kinds.contains(&Http) { "http" } else { "grpc" };
        let finding = Finding::error(
            code,
            service.key(format!("/health/{key}")),
            format!("`health.{key}` means nothing with `type: {name}`"),
        );
        let finding = finding.hint(format!("remove it, or write `type: {wanted}`"));
        // A probe by HTTP goes without saying.
        if *kind == Http { finding } else { finding.related(service.at("/health/type"), does) }
    };
    keys.into_iter().filter(is_unused).map(finding).collect()
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
