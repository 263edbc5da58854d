//! What a probe asks and which answer it takes, by itself.

use std::collections::BTreeMap;

use super::several;
use crate::core::inventory::desired::{BodyPattern, SecretText};
use crate::core::inventory::doc::{
    BodyDoc, HealthDoc, HealthTypeDoc, MethodDoc, ServiceDoc, TryDoc, UpstreamProtocolDoc,
};
use crate::core::inventory::finding::{At, Declared, Finding};
use crate::core::inventory::header::{is_field_value, is_secretive, is_token, is_written_for_it};
use crate::core::inventory::yaml::escape;

/// One question, wherever it stands in a document.
#[derive(Clone, Copy)]
struct Asked<'a> {
    service: &'a Declared<ServiceDoc>,
    /// JSON pointer to the mapping.
    at: &'a str,
    one: &'a TryDoc,
    report: bool,
}

impl Asked<'_> {
    fn kind(&self) -> HealthTypeDoc {
        self.one.kind.unwrap_or_default()
    }

    fn value(&self, key: &str) -> At {
        self.service.at(format!("{}/{key}", self.at))
    }

    fn key(&self, key: &str) -> At {
        self.service.key(format!("{}/{key}", self.at))
    }
}

/// `body-expectation`, `health-header`, `health-host`, `health-tls`, `health-with-grpc`, `health-with-head`,
/// `health-with-http`, `health-with-tcp`, `literal-secret`, `secret-reference`, `several-probes`.
pub(super) fn check(service: &Declared<ServiceDoc>, health: &HealthDoc) -> Vec<Finding> {
    let Some(list) = several::list(health) else {
        return judge(Asked { service, at: "/health", one: &health.one(), report: health.report });
    };
    let HealthDoc { all, any, .. } = health;
    let mut findings = several::check(service, health, list);
    for (list, tries) in [("all", all), ("any", any)] {
        for (index, one) in tries.iter().enumerate() {
            findings.extend(judge(Asked { service, at: &format!("/health/{list}/{index}"), one, report: false }));
        }
    }
    findings
}

fn judge(asked: Asked<'_>) -> Vec<Finding> {
    let mut findings = unused(asked);
    findings.extend(headers(asked));
    findings.extend(wildcard_host(asked));
    findings.extend(body_of_head(asked));
    findings.extend(body_expectation(asked));
    findings.extend(certificates_of_plain_http(asked));
    findings
}

fn certificates_of_plain_http(asked: Asked<'_>) -> Option<Finding> {
    asked.one.tls.as_ref().filter(|_| asked.kind() != HealthTypeDoc::Tcp)?;
    let upstream = asked.service.doc.upstream.as_ref();
    if upstream.is_some_and(|upstream| upstream.protocol == UpstreamProtocolDoc::Https) {
        return None;
    }
    let message = "probes over plain HTTP see no certificate";
    let finding = Finding::error("health-tls", asked.key("tls"), message);
    Some(finding.hint("remove it, or write `upstream: { protocol: https }`"))
}

fn headers(asked: Asked<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fault = |at, message: String, hint: &str| Finding::error("health-header", at, message).hint(hint);
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in &asked.one.headers {
        let pointer = format!("headers/{}", escape(name));
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            let hint = "write letters, digits and dashes, such as `X-Probe`";
            findings.push(fault(asked.key(&pointer), format!("`{name}` cannot be the name of a header"), hint));
        } else if lower == "host" {
            let hint = "write `host: api.acecinema.fr` under `health` instead";
            findings.push(fault(asked.key(&pointer), format!("`{name}` has a key of its own"), hint));
        } else if is_written_for_it(&lower) || is_of_grpc(asked.kind(), &lower) {
            let message = format!("`{name}` is written by bascule and Caddy themselves");
            findings.push(fault(asked.key(&pointer), message, "remove it, or choose another name"));
        } else if let Some(other) = seen.insert(lower, name) {
            let message = format!("`{name}` and `{other}` are one header");
            findings.push(fault(asked.key(&pointer), message, "remove one of them"));
        }
        findings.extend(secrets(asked.value(&pointer), name, value));
        if !is_field_value(value) {
            let hint = "write visible ASCII, with blanks only between";
            findings.push(fault(
                asked.value(&pointer),
                format!("the value of `{name}` cannot be sent in a header"),
                hint,
            ));
        }
    }
    findings
}

/// What of a header's value is a secret, or looks like one that everybody who reads the repository now knows.
fn secrets(at: At, name: &str, value: &str) -> Option<Finding> {
    if SecretText::has_names(value) {
        let why = value.parse::<SecretText>().err()?;
        let finding = Finding::error("secret-reference", at, format!("the value of `{name}` {why}"));
        return Some(finding.hint("write `${env:API_TOKEN}` or `${file:/run/secrets/api-token}`"));
    }
    if value.is_empty() || !is_secretive(name) {
        return None;
    }
    let finding = Finding::warning("literal-secret", at, format!("the value of `{name}` looks like a secret"));
    Some(
        finding
            .hint("write `${env:NAME}` or `${file:/run/secrets/NAME}`, and change the secret: git keeps the old text"),
    )
}

/// Headers that a gRPC call says itself.
fn is_of_grpc(kind: HealthTypeDoc, lower: &str) -> bool {
    kind == HealthTypeDoc::Grpc && (lower == "content-type" || lower.starts_with("grpc-"))
}

fn wildcard_host(asked: Asked<'_>) -> Option<Finding> {
    asked.one.host.as_ref().filter(|host| host.is_wildcard())?;
    let message = "a probe asks for one host, not for a wildcard";
    Some(Finding::error("health-host", asked.value("host"), message).hint("write a name that the backends answer for"))
}

fn body_of_head(asked: Asked<'_>) -> Option<Finding> {
    asked.one.expect.as_ref()?.body.as_ref()?;
    if asked.one.method != Some(MethodDoc::Head) {
        return None;
    }
    let message = "the answer to `method: HEAD` has no body to judge";
    let finding = Finding::error("health-with-head", asked.key("expect/body"), message);
    Some(finding.hint("remove it, or write `method: GET`").related(asked.value("method"), "asks without the body"))
}

/// Keys that another kind of probe has: a TCP probe has no request and no answer to judge, a gRPC check has one path, one method
/// and one answer that passes, and only it asks for a service.
fn unused(asked: Asked<'_>) -> Vec<Finding> {
    use HealthTypeDoc::{Grpc, Http, Tcp};
    let TryDoc { kind: _, port: _, service, path, method, host, headers, expect, tls } = asked.one;
    let kind = asked.kind();
    let keys: [(&str, bool, &[HealthTypeDoc]); 8] = [
        ("service", service.is_some(), &[Grpc]),
        ("path", path.is_some(), &[Http]),
        ("method", method.is_some(), &[Http]),
        ("host", host.is_some(), &[Http, Grpc]),
        ("headers", !headers.is_empty(), &[Http, Grpc]),
        ("expect", expect.is_some(), &[Http]),
        ("tls", tls.is_some(), &[Http, Grpc]),
        ("report", asked.report, &[Http, Grpc]),
    ];
    let (code, name, does) = match kind {
        Http => ("health-with-http", "http", "asks for a path"),
        Grpc => ("health-with-grpc", "grpc", "asks for the health of a gRPC service"),
        Tcp => ("health-with-tcp", "tcp", "only connects"),
    };
    // Which of several it is, its position says.
    let place = if asked.at == "/health" { "health." } else { "" };
    let is_unused = |(_, is_there, kinds): &(&str, bool, &[HealthTypeDoc])| *is_there && !kinds.contains(&kind);
    let finding = |(key, _, kinds): (&str, bool, &[HealthTypeDoc])| {
        let wanted = if kinds.contains(&Http) { "http" } else { "grpc" };
        let finding = Finding::error(code, asked.key(key), format!("`{place}{key}` means nothing with `type: {name}`"));
        let finding = finding.hint(format!("remove it, or write `type: {wanted}`"));
        // A probe by HTTP goes without saying.
        if kind == Http { finding } else { finding.related(asked.value("type"), does) }
    };
    keys.into_iter().filter(is_unused).map(finding).collect()
}

/// Exactly one way to judge a body, and one that can be followed.
fn body_expectation(asked: Asked<'_>) -> Option<Finding> {
    let BodyDoc { contains, matches, json, equals } = asked.one.expect.as_ref()?.body.as_ref()?;
    let fault = |at: &str, message: String, hint: &str| {
        Some(Finding::error("body-expectation", asked.value(&format!("expect/body{at}")), message).hint(hint))
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
