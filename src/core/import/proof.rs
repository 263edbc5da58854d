//! Whether the imported inventory sends requests where the old configuration does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::evaluate::{End, Fate, fate};
use super::scope::{Request, of_set, path_matches};
use super::services::Planned;

/// What became of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Requests that reach the same upstreams.
    pub proved: Vec<Request>,
    /// Requests that do not.
    pub differences: Vec<Difference>,
}

/// A request that is not served as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The request.
    pub request: Request,
    /// What it gets of the old configuration.
    pub before: String,
    /// What it gets of the imported one.
    pub after: String,
    /// Why; none where nothing explains it.
    pub reason: Option<String>,
}

/// A host that no configuration has (RFC 2606).
const FOREIGN: &str = "foreign.invalid";

/// Compares `old` with what was rendered.
pub(super) fn prove(old: &Value, new: &Value, services: &[Planned], notes: &BTreeMap<String, String>) -> Proof {
    let mut proof = Proof::default();
    let rendered = new.pointer("/apps/http/servers").and_then(Value::as_object);
    let rendered = rendered.and_then(|it| it.get("bascule-https").or_else(|| it.get("bascule-http")));
    let servers = old.pointer("/apps/http/servers").and_then(Value::as_object);
    for (name, server) in servers.into_iter().flatten() {
        for request in requests(server) {
            let before = fate(server, &format!("apps.http.servers.{name}"), &request);
            let after = fate(rendered.unwrap_or(&Value::Null), "", &request);
            compare(&mut proof, request, &before, &after, services, notes);
        }
    }
    proof
}

fn compare(
    proof: &mut Proof,
    request: Request,
    before: &Fate,
    after: &Fate,
    services: &[Planned],
    notes: &BTreeMap<String, String>,
) {
    let upstreams = |fate: &Fate| match &fate.end {
        End::Upstreams(upstreams) => upstreams.clone(),
        End::Other(_) | End::Nothing => BTreeSet::new(),
    };
    let is_answered = matches!(before.end, End::Other(_));
    let is_same = upstreams(before) == upstreams(after) && !is_answered;
    if is_same && before.conditions.is_empty() && before.changed.is_none() {
        proof.proved.push(request);
        return;
    }
    let reason = if is_same && before.changed.is_none() {
        Some(format!("the same, unless {} takes it, which stays out", before.conditions.join(" or ")))
    } else {
        explained(&request, before, after, services, notes)
    };
    let (before, after) = (words(before), words(after));
    proof.differences.push(Difference { request, before, after, reason });
}

fn explained(
    request: &Request,
    before: &Fate,
    after: &Fate,
    services: &[Planned],
    notes: &BTreeMap<String, String>,
) -> Option<String> {
    let service = services.iter().find(|service| service.name == after.at);
    let path = request.path.to_ascii_lowercase();
    let widened = service.and_then(|it| it.widened.iter().find(|prefix| prefix.as_str() == path));
    if let Some(why) = notes.get(&before.at) {
        return Some(format!("{}: {why}", before.at));
    }
    if let Some(at) = &before.changed {
        return Some(format!("{at}: {}", notes.get(at)?));
    }
    if let Some(prefix) = widened {
        return Some(format!("`{prefix}/*` does not match `{prefix}` itself; the prefix of an inventory does"));
    }
    None
}

fn words(fate: &Fate) -> String {
    match &fate.end {
        End::Upstreams(upstreams) => upstreams.iter().cloned().collect::<Vec<_>>().join(", "),
        End::Other(name) => format!("{name} of Caddy"),
        End::Nothing => "no upstream".to_owned(),
    }
}

/// Each host of a server with each of its paths: inside, beside and above them, and in other spellings.
fn requests(server: &Value) -> Vec<Request> {
    let (mut hosts, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    collect(server, &mut hosts, &mut patterns);
    let mut paths: BTreeSet<String> = ["/", "/elsewhere/page"].map(str::to_owned).into();
    for pattern in &patterns {
        let stem = pattern.trim_matches('*').trim_end_matches('/');
        let stem = if stem.starts_with('/') { stem.to_owned() } else { format!("/file{stem}") };
        paths.extend([stem.clone(), format!("{stem}/"), format!("{stem}/inside"), format!("{stem}beside")]);
        paths.insert(stem.to_ascii_uppercase());
        if let Some((above, _)) = stem.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
            paths.insert(above.to_owned());
        }
    }
    // What cannot be a path is no request.
    paths.retain(|path| path_matches(path, path).is_some());
    let mut names: BTreeSet<String> = hosts.iter().map(|host| host.replace('*', "any")).collect();
    names.extend(
        hosts.iter().filter(|host| host.contains('*')).map(|host| format!("deeper.{}", host.replace('*', "any"))),
    );
    let mut requests: BTreeSet<Request> = BTreeSet::new();
    for host in names.iter().map(String::as_str).chain([FOREIGN]) {
        requests.extend(paths.iter().map(|path| Request { host: host.to_owned(), path: path.clone() }));
        requests.insert(Request { host: host.to_ascii_uppercase(), path: "/".to_owned() });
    }
    requests.into_iter().collect()
}

/// Every host and path pattern below a value.
fn collect(value: &Value, hosts: &mut BTreeSet<String>, patterns: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, hosts, patterns)),
        Value::Object(object) => {
            for (key, inner) in object {
                if key == "match" {
                    let sets = inner.as_array().into_iter().flatten();
                    for set in sets.filter_map(Value::as_object) {
                        let (scope, _) = of_set(set);
                        hosts.extend(scope.hosts.into_iter().flatten().filter(|host| !host.contains('{')));
                        patterns.extend(scope.paths.into_iter().flatten());
                    }
                }
                collect(inner, hosts, patterns);
            }
        }
        _ => {}
    }
}
