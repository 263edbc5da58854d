//! The edge that a configuration makes: its listeners, its certificates, its admin API.

use std::collections::BTreeMap;

use serde_json::Value;

use super::claims::{Leaf, UNKNOWN, list, note_others};
use crate::core::model::{AdminAddress, CADDY_ADMIN_PORT, HTTP_PORT, Hostname, Listener, Scheme};

/// Who issues certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Acme { email: Option<String> },
    Internal,
    Off,
}

/// What becomes of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EdgePlan {
    pub(super) admin: String,
    pub(super) listen: Vec<String>,
    pub(super) mode: Mode,
}

const KNOWN_OF_SERVERS: [&str; 4] = ["automatic_https", "listen", "routes", "tls_connection_policies"];

/// Reads what is said of servers and certificates, and takes out leaves that the edge cannot have.
pub(super) fn read(
    config: &Value,
    admin: Option<&AdminAddress>,
    leaves: &mut [Leaf<'_>],
    notes: &mut BTreeMap<String, String>,
) -> EdgePlan {
    let http = config.pointer("/apps/http").and_then(Value::as_object);
    let http_port = http.and_then(|it| it.get("http_port")).and_then(Value::as_u64).unwrap_or(HTTP_PORT.into());
    let servers = http.and_then(|it| it.get("servers")).and_then(Value::as_object);
    let has_leaves = |server: &str| leaves.iter().any(|leaf| leaf.server == server && leaf.fault.is_none());
    let mut secure = BTreeMap::new();
    for (name, server) in servers.into_iter().flatten() {
        note_others(notes, Some(server), &format!("apps.http.servers.{name}."), &KNOWN_OF_SERVERS, UNKNOWN);
        let names: Vec<_> =
            leaves.iter().filter(|leaf| leaf.server == *name).filter_map(|it| it.scope.hosts.as_ref()).collect();
        secure.insert(name.clone(), is_secure(server, &names, http_port));
    }
    let is_secure_edge = secure.iter().any(|(name, is)| *is && has_leaves(name));
    let mut listen = Vec::new();
    for (name, server) in servers.into_iter().flatten() {
        if has_leaves(name) && secure[name] == is_secure_edge {
            listen.extend(listeners(name, server, is_secure_edge, notes));
        }
    }
    let is_heard = |listener: &Listener| !is_secure_edge || listener.scheme() == Scheme::Https;
    if !listen.iter().any(is_heard) {
        // Caddy takes a server that listens nowhere, and an edge is none.
        for leaf in leaves.iter_mut().filter(|leaf| leaf.fault.is_none()) {
            leaf.fault = Some("its server listens nowhere that an edge could listen".to_owned());
        }
    }
    if is_secure_edge && !listen.iter().any(|it: &Listener| u64::from(it.port().get()) == http_port) {
        let all = format!("http://:{http_port}");
        listen.extend(if http_port == u64::from(HTTP_PORT) { ":80".parse() } else { all.parse::<Listener>() });
    }
    let listen = distinct(&listen);
    let mode = if is_secure_edge { mode(config, notes) } else { Mode::Off };
    for leaf in leaves.iter_mut().filter(|leaf| leaf.fault.is_none()) {
        if secure[&leaf.server] != is_secure_edge {
            leaf.fault =
                Some("its server speaks plain HTTP, which an edge with certificates redirects to HTTPS".to_owned());
        } else if let (Mode::Acme { .. }, Some(hosts)) = (&mode, &leaf.scope.hosts)
            && let Some(host) = hosts.iter().find(|host| host.contains('*'))
        {
            leaf.fault = Some(format!("an edge has no certificate for `{host}` by ACME without a DNS challenge"));
        }
    }
    let admin = admin_address(config, admin, &listen, notes);
    EdgePlan { admin, listen: listen.iter().map(ToString::to_string).collect(), mode }
}

/// Caddy turns HTTPS on for names, except where it is told not to or the server has the port of plain HTTP.
fn is_secure(server: &Value, hosts: &[&Vec<String>], http_port: u64) -> bool {
    let policies = list(server.get("tls_connection_policies"));
    let automatic = server.get("automatic_https");
    let is_off = automatic.and_then(|it| it.get("disable")) == Some(&Value::Bool(true));
    let skipped: Vec<_> = list(automatic.and_then(|it| it.get("skip"))).iter().filter_map(Value::as_str).collect();
    let named = hosts.iter().flat_map(|hosts| hosts.iter()).any(|host| !skipped.contains(&host.as_str()));
    let port = format!(":{http_port}");
    let is_plain = list(server.get("listen")).iter().filter_map(Value::as_str).all(|it| it.ends_with(&port));
    !policies.is_empty() || (!is_off && named && !is_plain)
}

fn listeners(name: &str, server: &Value, is_secure: bool, notes: &mut BTreeMap<String, String>) -> Vec<Listener> {
    let mut found = Vec::new();
    for (index, text) in list(server.get("listen")).iter().filter_map(Value::as_str).enumerate() {
        let plain = text.strip_prefix("tcp/").unwrap_or(text).replace("localhost:", "127.0.0.1:");
        let spelled = if is_secure && plain.ends_with(":80") { format!("https://{plain}") } else { plain };
        if let Ok(listener) = spelled.parse::<Listener>() {
            found.push(listener);
        } else {
            let at = format!("apps.http.servers.{name}.listen[{index}]");
            notes.insert(at, format!("`{text}` is no address with one port; the edge does not listen there"));
        }
    }
    found
}

/// Without those of which another one takes the connections.
fn distinct(listen: &[Listener]) -> Vec<Listener> {
    let is_taken = |index: usize, listener: &Listener| {
        let mut clashing = listen.iter().enumerate().filter(|(_, it)| it.clashes(listener));
        clashing.any(|(other, it)| if it.host() == listener.host() { other < index } else { it.host().is_none() })
    };
    let kept = listen.iter().enumerate().filter(|(index, listener)| !is_taken(*index, listener));
    kept.map(|(_, listener)| listener.clone()).collect()
}

fn mode(config: &Value, notes: &mut BTreeMap<String, String>) -> Mode {
    let at = "apps.tls.automation.policies";
    let policies = list(config.pointer("/apps/tls/automation/policies"));
    let is_internal = |policy: &Value| {
        list(policy.get("issuers")).first().and_then(|it| it.get("module")).and_then(Value::as_str) == Some("internal")
    };
    let all_internal = !policies.is_empty() && policies.iter().all(is_internal);
    let mut email = None;
    for (index, policy) in policies.iter().enumerate() {
        if is_internal(policy) && !all_internal {
            notes.insert(format!("{at}[{index}]"), "an edge has one authority for all names: here ACME".to_owned());
        }
        note_others(notes, Some(policy), &format!("{at}[{index}]."), &["issuers", "subjects"], UNKNOWN);
        for (number, issuer) in list(policy.get("issuers")).iter().enumerate() {
            if email.is_none() {
                email = issuer.get("email").and_then(Value::as_str).map(str::to_owned);
            }
            let above = format!("{at}[{index}].issuers[{number}].");
            note_others(notes, Some(issuer), &above, &["email", "module"], "edges use Caddy's default authority");
        }
    }
    if all_internal { Mode::Internal } else { Mode::Acme { email } }
}

/// Where the edge's admin API is: as it was given, or as the configuration says, or the standard one.
fn admin_address(
    config: &Value,
    given: Option<&AdminAddress>,
    listen: &[Listener],
    notes: &mut BTreeMap<String, String>,
) -> String {
    let said = config.pointer("/admin/listen").and_then(Value::as_str);
    let read = said.and_then(|said| {
        let plain = said.split('|').next().unwrap_or(said).trim_start_matches("tcp/");
        let address = if plain.starts_with("unix/") { plain.to_owned() } else { format!("http://{plain}") };
        address.parse::<AdminAddress>().ok()
    });
    if let (Some(said), None, None) = (said, given, &read) {
        let why = format!("`{said}` is no address that Bascule can ask; say it in `admin`");
        notes.insert("admin.listen".to_owned(), why);
    }
    let is_free = |address: &AdminAddress| !listen.iter().any(|listener| listener.claims(address));
    let standard = |port: u16| AdminAddress::Tcp { host: "127.0.0.1".to_owned(), port };
    let wanted = given.cloned().or(read).unwrap_or_else(|| standard(CADDY_ADMIN_PORT));
    if is_free(&wanted) {
        return wanted.to_string();
    }
    let free = (CADDY_ADMIN_PORT..=u16::MAX).map(standard).find(is_free).unwrap_or_else(|| wanted.clone());
    let why = format!("a server listens at `{wanted}` too; `{free}` was put in, say in `admin` where it is");
    notes.insert("admin.listen".to_owned(), why);
    free.to_string()
}

/// The account address, made up where none is said: an inventory must have one.
pub(super) fn email(said: Option<&String>, domains: &[&Hostname], notes: &mut BTreeMap<String, String>) -> String {
    if let Some(said) = said.filter(|said| said.parse::<crate::core::model::Email>().is_ok()) {
        return said.clone();
    }
    let domain = domains.iter().find(|it| !it.is_wildcard()).map_or("example.org", |it| it.as_str());
    let made = format!("ops@{domain}");
    let why =
        format!("it says no account address for ACME; `{made}` was put in, replace it by one that somebody reads");
    notes.insert("apps.tls.automation".to_owned(), why);
    made
}
