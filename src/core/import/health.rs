use std::collections::BTreeMap;

use serde_json::Value;

use super::claims::{UNKNOWN, list};
use super::proxy::Notes;
use super::span;
use crate::core::inventory::takes_header;
use crate::core::model::{Hostname, Port, RequestPath, TimeSpan};

/// Caddy's own, where nothing is said.
const INTERVAL: &str = "30s";
const TIMEOUT: &str = "5s";

/// An active check, with Caddy's defaults written out: Bascule has others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) path: RequestPath,
    /// A port other than the one that is dialed.
    pub(super) port: Option<Port>,
    pub(super) method: Option<&'static str>,
    pub(super) host: Option<Hostname>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) interval: TimeSpan,
    pub(super) timeout: TimeSpan,
    pub(super) rise: u64,
    pub(super) fall: u64,
    pub(super) status: Option<String>,
}

/// Reads an active check; none where nothing of it is left.
pub(super) fn read(checks: &Value, at: &str, notes: &mut Notes) -> Option<Health> {
    let mut note = |key: &str, why: &str| notes.push((format!("{at}.{key}"), why.to_owned()));
    let number = |key: &str| checks.get(key).and_then(Value::as_u64).filter(|it| (1..=100).contains(it));
    let time = |key: &str, default: &str| {
        let said = checks.get(key).and_then(span::read);
        said.or_else(|| default.parse().ok()).expect("Caddy's defaults are durations")
    };
    let text = checks.get("uri").or_else(|| checks.get("path")).and_then(Value::as_str);
    let Ok(path) = text.unwrap_or("/").parse::<RequestPath>() else {
        note("uri", "it is no plain path; backends are probed by TCP connections");
        return None;
    };
    let interval = time("interval", INTERVAL);
    let mut timeout = time("timeout", TIMEOUT);
    if timeout > interval {
        note("timeout", "it is longer than `interval`, and a probe ends before the next; it became as long");
        timeout = interval;
    }
    let mut health = Health {
        path,
        port: None,
        method: None,
        host: None,
        headers: BTreeMap::new(),
        interval,
        timeout,
        rise: number("passes").unwrap_or(1),
        fall: number("fails").unwrap_or(1),
        status: None,
    };
    for (key, value) in checks.as_object().into_iter().flatten() {
        match key.as_str() {
            "uri" | "path" | "interval" | "timeout" | "passes" | "fails" => {}
            "method" => match value.as_str().unwrap_or_default() {
                "" | "GET" => {}
                "HEAD" => health.method = Some("HEAD"),
                "OPTIONS" => health.method = Some("OPTIONS"),
                _ => note(key, "probes are GET, HEAD or OPTIONS; it became GET"),
            },
            "port" => match value.as_u64().and_then(|port| port.to_string().parse().ok()) {
                Some(port) => health.port = Some(port),
                None => note(key, "it is no port"),
            },
            "headers" => {
                for (name, values) in value.as_object().into_iter().flatten() {
                    for value in list(Some(values)) {
                        if let Err(why) = health.take_header(name, value.as_str().unwrap_or_default()) {
                            note(&format!("headers.{name}"), why);
                        }
                    }
                }
            }
            "expect_status" => match value.as_u64() {
                None | Some(0) => {}
                Some(class @ 1..=5) => health.status = Some(format!("{class}00-{class}99")),
                Some(status @ 100..=599) => health.status = Some(status.to_string()),
                Some(_) => note(key, "it is no status; 200 to 299 pass"),
            },
            _ => note(key, UNKNOWN),
        }
    }
    Some(health)
}

impl Health {
    /// Takes a header. Names are one header in whatever case (RFC 9110, section 5.1), and a probe sends each once.
    fn take_header(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        const TWICE: &str = "a probe sends a header once, and this one is there with another value";
        if name.eq_ignore_ascii_case("host")
            && let Ok(host) = value.parse::<Hostname>()
        {
            let kept = self.host.get_or_insert_with(|| host.clone());
            return if *kept == host { Ok(()) } else { Err(TWICE) };
        }
        if let Some((_, kept)) = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return if kept == value { Ok(()) } else { Err(TWICE) };
        }
        if !is_plain(name, value) || !takes_header(self.headers.len(), name, value) {
            return Err("an inventory takes no such header");
        }
        self.headers.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

/// True for a header that is carried as it stands, if an inventory takes it: no placeholder, and not who asks.
fn is_plain(name: &str, value: &str) -> bool {
    !name.eq_ignore_ascii_case("user-agent")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !value.is_empty()
        && !value.contains(['{', '}'])
}
