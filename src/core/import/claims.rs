use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::scope::{self, Scope};

/// Why a setting is not carried that only Caddy has.
pub(super) const UNKNOWN: &str = "an inventory has no such setting";

/// A `reverse_proxy` with the hosts and paths that lead to it.
#[derive(Debug, Clone)]
pub(super) struct Leaf<'c> {
    /// Where it stands, as a JSON path.
    pub(super) at: String,
    pub(super) server: String,
    pub(super) scope: Scope,
    pub(super) handler: &'c Map<String, Value>,
    /// Why it cannot be carried.
    pub(super) fault: Option<String>,
}

/// What a handler is to whoever carries routes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Proxy,
    Subroute,
    /// Changes nothing of where a request goes and what a backend sees of it.
    Harmless,
    /// Changes the request, or refuses some.
    Changes,
    /// Answers by itself.
    Answers,
    /// Answers by itself, with a refusal.
    Refuses,
}

/// The kind of a handler. One that is not known is taken to change requests.
pub(super) fn part(handler: &Map<String, Value>) -> Part {
    let status = handler.get("status_code").map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    match name(handler) {
        "reverse_proxy" => Part::Proxy,
        "subroute" => Part::Subroute,
        "encode" | "vars" | "log_append" | "tracing" | "metrics" => Part::Harmless,
        "headers" if handler.get("request").is_none() => Part::Harmless,
        "file_server" if handler.get("pass_thru") == Some(&Value::Bool(true)) => Part::Changes,
        "static_response" if handler.get("abort") == Some(&Value::Bool(true)) => Part::Refuses,
        "static_response" if status.is_some_and(|status| status.starts_with(['4', '5', '{'])) => Part::Refuses,
        "file_server" | "static_response" | "acme_server" => Part::Answers,
        "error" => Part::Refuses,
        _ => Part::Changes,
    }
}

pub(super) fn name(handler: &Map<String, Value>) -> &str {
    handler.get("handler").and_then(Value::as_str).unwrap_or("?")
}

pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Notes every key of an object beside those that are known; `above` is what their JSON paths begin with.
pub(super) fn note_others(
    notes: &mut BTreeMap<String, String>,
    object: Option<&Value>,
    above: &str,
    known: &[&str],
    why: &str,
) {
    let keys = object.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for key in keys.filter(|key| !known.contains(&key.as_str())) {
        notes.insert(format!("{above}{key}"), why.to_owned());
    }
}

/// Something on the way of a request that an inventory cannot say.
#[derive(Debug, Clone)]
struct Obstacle {
    scope: Scope,
    why: String,
    /// The list of routes and the group in it: only one route of a group takes a request.
    group: Option<(String, String)>,
}

/// Walks the routes of a server.
#[derive(Debug, Default)]
pub(super) struct Walk<'c> {
    pub(super) leaves: Vec<Leaf<'c>>,
    /// What is not carried, by its JSON path.
    pub(super) notes: BTreeMap<String, String>,
    /// What keeps requests away from routes that come later.
    guards: Vec<Obstacle>,
}

/// Where a walk is.
#[derive(Debug, Clone)]
struct Way<'w> {
    server: &'w str,
    scope: Scope,
    condition: Option<String>,
}

impl<'c> Walk<'c> {
    /// Walks one server.
    pub(super) fn server(&mut self, server: &str, routes: Option<&'c Value>) {
        self.guards.clear();
        let way = Way { server, scope: Scope::default(), condition: None };
        self.routes(routes, &format!("apps.http.servers.{server}"), &way, &mut Vec::new());
    }

    fn note(&mut self, at: &str, why: impl Into<String>) {
        self.notes.entry(at.to_owned()).or_insert_with(|| why.into());
    }

    fn routes(&mut self, routes: Option<&'c Value>, above: &str, way: &Way<'_>, obstacles: &mut Vec<Obstacle>) {
        for (index, route) in list(routes).iter().enumerate() {
            let at = format!("{above}.routes[{index}]");
            let Some(route) = route.as_object() else {
                self.note(&at, "it is no route");
                continue;
            };
            for key in route.keys() {
                if !matches!(key.as_str(), "@id" | "group" | "handle" | "match" | "terminal") {
                    self.note(&format!("{at}.{key}"), "nothing is known of this key");
                }
            }
            let group = route.get("group").and_then(Value::as_str).map(|group| (above.to_owned(), group.to_owned()));
            let mut found = Vec::new();
            let sets = sets(route, &at, way);
            if sets.is_empty() {
                self.note(&at, "no request can match it here");
            }
            for (scope, condition) in sets {
                let way = Way { scope, condition, ..way.clone() };
                let is_mate = |it: &Obstacle| it.group.is_some() && it.group == group;
                let mut before: Vec<_> = obstacles.iter().filter(|it| !is_mate(it)).cloned().collect();
                let known = before.len();
                self.handle(route, &at, &way, &mut before);
                found.extend(before.drain(known..).map(|it| Obstacle { group: group.clone(), ..it }));
            }
            if route.get("terminal") != Some(&Value::Bool(true)) {
                obstacles.append(&mut found);
            }
        }
    }

    fn handle(&mut self, route: &'c Map<String, Value>, at: &str, way: &Way<'_>, obstacles: &mut Vec<Obstacle>) {
        for (index, handler) in list(route.get("handle")).iter().enumerate() {
            let at = format!("{at}.handle[{index}]");
            let Some(handler) = handler.as_object() else {
                self.note(&at, "it is no handler");
                continue;
            };
            let name = name(handler);
            let obstacle = |why: String| Obstacle { scope: way.scope.clone(), why, group: None };
            match part(handler) {
                Part::Proxy => self.leaf(handler, at, way, obstacles),
                Part::Subroute => {
                    if handler.contains_key("errors") {
                        self.note(&format!("{at}.errors"), "an inventory has no routes for errors");
                    }
                    self.routes(handler.get("routes"), &at, way, obstacles);
                }
                Part::Harmless => self.note(&at, format!("an inventory has no `{name}`; requests go where they went")),
                Part::Changes => {
                    let why = format!("`{name}` ({at}) changes or refuses requests, and an inventory cannot say it");
                    obstacles.push(obstacle(why));
                    if name == "authentication" {
                        let why = format!("requests that {at} asks a password of would reach it without one");
                        self.guards.push(obstacle(why));
                    }
                    self.note(&at, format!("an inventory has no `{name}`; the routes that it is for stay out"));
                }
                Part::Refuses => {
                    self.guards.push(obstacle(format!("requests that {at} refuses would reach it")));
                    self.note(&at, format!("{name} is not a reverse proxy; it stays out"));
                }
                Part::Answers => self.note(&at, format!("{name} is not a reverse proxy; it stays out")),
            }
        }
    }

    fn leaf(&mut self, handler: &'c Map<String, Value>, at: String, way: &Way<'_>, obstacles: &[Obstacle]) {
        let meets = |it: &&Obstacle| it.scope.and(&way.scope).is_some();
        let on_the_way = obstacles.iter().chain(&self.guards).find(meets).map(|it| it.why.clone());
        let covering = self.leaves.iter().find(|earlier| {
            earlier.server == way.server
                && earlier.at != at
                && earlier.fault.is_none()
                && earlier.scope.covers(&way.scope)
        });
        let unreached = covering.map(|earlier| format!("no request gets here: {} takes them all", earlier.at));
        let fault = way.condition.clone().or(unreached).or(on_the_way);
        let (server, scope) = (way.server.to_owned(), way.scope.clone());
        self.leaves.push(Leaf { at, server, scope, handler, fault });
    }
}

/// The scopes of a route's matcher sets within the way to it, with what else they ask for.
fn sets(route: &Map<String, Value>, at: &str, way: &Way<'_>) -> Vec<(Scope, Option<String>)> {
    let sets = list(route.get("match"));
    if sets.is_empty() {
        return vec![(way.scope.clone(), way.condition.clone())];
    }
    let one = |(index, set): (usize, &Value)| {
        let (scope, others) = scope::of_set(set.as_object()?);
        let condition = others.first().map(|other| {
            format!("it is behind the matcher `{other}` ({at}.match[{index}]), and an inventory knows hosts and path prefixes")
        });
        Some((way.scope.and(&scope)?, way.condition.clone().or(condition)))
    };
    sets.iter().enumerate().filter_map(one).collect()
}
