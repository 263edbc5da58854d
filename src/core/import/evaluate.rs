//! What Caddy does with a request, as far as it can be told from its host and path.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::claims::{Part, list, name, part};
use super::scope::{Request, host_matches, path_matches};
use crate::core::caddy::{dialed, service_of_route_id};

/// Where a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// At one of these upstreams.
    Upstreams(BTreeSet<String>),
    /// At something else, which has this name.
    Other(String),
    /// Nowhere.
    Nothing,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) end: End,
    /// Where it ends, as a JSON path, or as the service of a rendered route.
    pub(super) at: String,
    /// What changes or may refuse it on its way.
    pub(super) changed: Option<String>,
    /// Routes that take it where something else of it matches.
    pub(super) conditions: Vec<String>,
}

/// What becomes of a request at a server of a configuration.
pub(super) fn fate(server: &Value, at: &str, request: &Request) -> Fate {
    let path = request.path.clone();
    let mut visit = Visit { server, request, path: Some(path), changed: None, conditions: Vec::new() };
    let (end, at) = visit.routes(server.get("routes"), at).unwrap_or((End::Nothing, String::new()));
    Fate { end, at, changed: visit.changed, conditions: visit.conditions }
}

struct Visit<'v> {
    server: &'v Value,
    request: &'v Request,
    /// The path as it is by now; none once it cannot be told.
    path: Option<String>,
    changed: Option<String>,
    conditions: Vec<String>,
}

impl Visit<'_> {
    fn routes(&mut self, routes: Option<&Value>, above: &str) -> Option<(End, String)> {
        let mut taken = BTreeSet::new();
        for (index, route) in list(routes).iter().enumerate() {
            let at = format!("{above}.routes[{index}]");
            let group = route.get("group").and_then(Value::as_str);
            if group.is_some_and(|group| taken.contains(group)) {
                continue;
            }
            match self.is_match(list(route.get("match"))) {
                Some(false) => continue,
                None => {
                    self.conditions.push(at);
                    continue;
                }
                Some(true) => taken.extend(group),
            }
            if let Some(service) = route.get("@id").and_then(Value::as_str).and_then(service_of_route_id) {
                let ends = dialed(&self.alone(route));
                let end = if ends.is_empty() { End::Other("page".to_owned()) } else { End::Upstreams(ends) };
                return Some((end, service.to_owned()));
            }
            if let Some(end) = self.handle(list(route.get("handle")), &at) {
                return Some(end);
            }
            if route.get("terminal") == Some(&Value::Bool(true)) {
                return Some((End::Nothing, at));
            }
        }
        None
    }

    /// A configuration with this route and nothing else.
    fn alone(&self, route: &Value) -> Value {
        let named = self.server.get("named_routes").cloned().unwrap_or_else(|| json!({}));
        json!({"apps": {"http": {"servers": {"one": {"routes": [route], "named_routes": named}}}}})
    }

    fn handle(&mut self, handlers: &[Value], at: &str) -> Option<(End, String)> {
        for (index, handler) in handlers.iter().enumerate() {
            let at = format!("{at}.handle[{index}]");
            let handler = handler.as_object()?;
            match part(handler) {
                Part::Proxy => {
                    let dials = list(handler.get("upstreams")).iter().filter_map(|it| it.get("dial")?.as_str());
                    return Some((End::Upstreams(dials.map(plain_dial).collect()), at));
                }
                Part::Answers | Part::Refuses => return Some((End::Other(name(handler).to_owned()), at)),
                Part::Harmless => {}
                Part::Subroute => {
                    if let Some(end) = self.routes(handler.get("routes"), &at) {
                        return Some(end);
                    }
                }
                Part::Changes => {
                    self.rewrite(handler);
                    self.changed.get_or_insert(at);
                }
            }
        }
        None
    }

    fn rewrite(&mut self, handler: &Map<String, Value>) {
        let is_about_paths = !matches!(name(handler), "authentication" | "headers" | "request_body");
        let strip = handler.get("strip_path_prefix").and_then(Value::as_str);
        self.path = match (strip, self.path.take()) {
            (Some(strip), Some(path)) if handler.len() == 2 => {
                let rest = path.strip_prefix(strip).map(str::to_owned).unwrap_or(path);
                Some(if rest.starts_with('/') { rest } else { format!("/{rest}") })
            }
            (_, path) => path.filter(|_| !is_about_paths),
        };
    }

    /// True where one of the sets matches; none where that cannot be told from host and path.
    fn is_match(&self, sets: &[Value]) -> Option<bool> {
        if sets.is_empty() {
            return Some(true);
        }
        any(sets.iter().map(|set| self.is_set_match(set)))
    }

    fn is_set_match(&self, set: &Value) -> Option<bool> {
        let set = set.as_object()?;
        let results: BTreeMap<&str, Option<bool>> =
            set.iter().map(|(kind, value)| (kind.as_str(), self.is_one_match(kind, value))).collect();
        // One that does not match settles it, whatever the others say.
        if results.values().any(|it| *it == Some(false)) {
            return Some(false);
        }
        results.values().all(Option::is_some).then_some(true)
    }

    fn is_one_match(&self, kind: &str, value: &Value) -> Option<bool> {
        let texts = || list(Some(value)).iter().filter_map(Value::as_str);
        match kind {
            "host" => Some(texts().any(|pattern| host_matches(pattern, &self.request.host))),
            "path" => {
                let path = self.path.as_deref()?;
                any(texts().map(|pattern| path_matches(pattern, path)))
            }
            "not" => self.is_match(list(Some(value))).map(|matches| !matches),
            _ => None,
        }
    }
}

/// True where one is; none where that cannot be told.
fn any(results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_told = true;
    for result in results {
        if result == Some(true) {
            return result;
        }
        is_told &= result.is_some();
    }
    is_told.then_some(false)
}

/// An upstream's address as an inventory has it.
pub(super) fn plain_dial(dial: &str) -> String {
    let dial = dial.strip_prefix("tcp/").unwrap_or(dial);
    dial.strip_prefix("localhost:").map_or_else(|| dial.to_owned(), |port| format!("127.0.0.1:{port}"))
}
