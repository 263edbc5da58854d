use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::links::{Chain, dials, essence, weights};
use super::{compare, service_of_route_id, sweep};

/// One way in which an edge would change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum EdgeChange {
    /// The edge runs nothing yet.
    FromNothing,
    /// A server that bascule did not make goes away.
    ForeignServerRemoved {
        /// Its name in Caddy's configuration.
        server: String,
    },
    /// A server of the edge appears.
    ServerAdded {
        /// Its name in Caddy's configuration.
        server: String,
    },
    /// A server of the edge goes away.
    ServerRemoved {
        /// Its name in Caddy's configuration.
        server: String,
    },
    /// A server of the edge listens or serves otherwise than by its services.
    ServerChanged {
        /// Its name in Caddy's configuration.
        server: String,
    },
    /// Another part of the configuration differs, such as `apps.tls`.
    PartChanged {
        /// Where, with dots.
        part: String,
    },
    /// A service begins to be served.
    ServiceAdded {
        /// The service.
        service: String,
        /// Addresses that will be dialed.
        upstreams: Vec<String>,
    },
    /// A service is no longer served.
    ServiceRemoved {
        /// The service.
        service: String,
    },
    /// The same addresses get other shares of the traffic.
    WeightsChanged {
        /// The service.
        service: String,
        /// Addresses with their weights from now on, in the order in which they are dialed.
        weights: Vec<UpstreamWeight>,
    },
    /// A service is served otherwise: domains, paths, checks, timeouts.
    ServiceChanged {
        /// The service.
        service: String,
    },
    /// An address begins to be dialed.
    UpstreamAdded {
        /// The service.
        service: String,
        /// The address.
        upstream: String,
    },
    /// An address is no longer dialed.
    UpstreamRemoved {
        /// The service.
        service: String,
        /// The address.
        upstream: String,
    },
}

/// An address and its share of the traffic, relative to the others of its service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UpstreamWeight {
    /// The address.
    pub upstream: String,
    /// The weight; 1 for each where all are alike.
    pub weight: u64,
}

impl EdgeChange {
    /// True for what would be done, and not for what is only found.
    pub const fn is_work(&self) -> bool {
        !matches!(self, Self::FromNothing)
    }
}

impl fmt::Display for EdgeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromNothing => f.write_str("the edge runs nothing yet"),
            Self::ForeignServerRemoved { server } => write!(f, "- server {server}, which is not from this inventory"),
            Self::ServerAdded { server } => write!(f, "+ server {server}"),
            Self::ServerRemoved { server } => write!(f, "- server {server}"),
            Self::ServerChanged { server } => write!(f, "~ server {server}"),
            Self::PartChanged { part } => write!(f, "~ {part}"),
            Self::ServiceAdded { service, upstreams } => {
                write!(f, "+ service {service}")?;
                if upstreams.is_empty() { Ok(()) } else { write!(f, " -> {}", upstreams.join(", ")) }
            }
            Self::ServiceRemoved { service } => write!(f, "- service {service}"),
            Self::WeightsChanged { service, weights } => {
                let word = |it: &UpstreamWeight| format!("{} = {}", it.upstream, it.weight);
                write!(f, "~ service {service}: weights {}", weights.iter().map(word).collect::<Vec<_>>().join(", "))
            }
            Self::ServiceChanged { service } => write!(f, "~ service {service}: settings"),
            Self::UpstreamAdded { service, upstream } => write!(f, "~ service {service}: + upstream {upstream}"),
            Self::UpstreamRemoved { service, upstream } => write!(f, "~ service {service}: - upstream {upstream}"),
        }
    }
}

/// What differs between what an edge runs and what it should run, in words of the inventory. Empty exactly when the two are
/// the same as [`compare::same`] sees it: `admin`, the order of keys and the spelling of numbers do not count.
pub fn diff(actual: &Value, rendered: &Value) -> Vec<EdgeChange> {
    if compare::same(actual, rendered) {
        return Vec::new();
    }
    let (before, after) = (Parts::of(actual), Parts::of(rendered));
    let mut changes = Vec::new();
    if before.is_empty() && !after.is_empty() {
        changes.push(EdgeChange::FromNothing);
    }
    for name in union(&before.servers, &after.servers) {
        let server = || (*name).to_owned();
        match (before.servers.get(name), after.servers.get(name)) {
            (Some(_), None) if !name.starts_with("bascule-") => {
                changes.push(EdgeChange::ForeignServerRemoved { server: server() });
            }
            (Some(_), None) => changes.push(EdgeChange::ServerRemoved { server: server() }),
            (None, Some(_)) => changes.push(EdgeChange::ServerAdded { server: server() }),
            (Some(before), Some(after)) if before.same(after) => {}
            (_, _) => changes.push(EdgeChange::ServerChanged { server: server() }),
        }
    }
    for part in union(&before.others, &after.others) {
        if !same_entry(before.others.get(part), after.others.get(part)) {
            changes.push(EdgeChange::PartChanged { part: part.clone() });
        }
    }
    for service in union(&before.services, &after.services) {
        let name = || (*service).to_owned();
        match (before.services.get(service), after.services.get(service)) {
            (None, Some(route)) => {
                changes.push(EdgeChange::ServiceAdded { service: name(), upstreams: dials(route.chain) });
            }
            (Some(_), None) => changes.push(EdgeChange::ServiceRemoved { service: name() }),
            (Some(before), Some(after)) => changes.extend(of_service(service, *before, *after)),
            (None, None) => {}
        }
    }
    if changes.is_empty() {
        // Such as an empty object in place of nothing: no words of the inventory, and yet another configuration.
        changes.push(EdgeChange::PartChanged { part: "apps".to_owned() });
    }
    changes
}

/// Every address that the services of a configuration dial.
pub fn dialed(config: &Value) -> BTreeSet<String> {
    Parts::of(config).services.values().flat_map(|route| dials(route.chain)).collect()
}

fn of_service(service: &str, before: Route<'_>, after: Route<'_>) -> Vec<EdgeChange> {
    // The server is part of it: a service that moves between listeners changes.
    if before.server == after.server && compare::same_value(before.chain.route, after.chain.route) {
        return Vec::new();
    }
    let (old, new) = (dials(before.chain), dials(after.chain));
    let (old_set, new_set): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let mut changes: Vec<_> = new_set
        .difference(&old_set)
        .map(|dial| EdgeChange::UpstreamAdded { service: service.to_owned(), upstream: (*dial).clone() })
        .collect();
    changes.extend(
        old_set
            .difference(&new_set)
            .map(|dial| EdgeChange::UpstreamRemoved { service: service.to_owned(), upstream: (*dial).clone() }),
    );
    let is_else_same = before.server == after.server && essence(before.chain) == essence(after.chain);
    // Where addresses come or go, the weights of those that stay say nothing new: they are relative.
    if changes.is_empty()
        && let (Some(old), Some(new)) = (weights(before.chain), weights(after.chain))
        && old != new
    {
        changes.push(EdgeChange::WeightsChanged { service: service.to_owned(), weights: new });
    }
    if changes.is_empty() || !is_else_same {
        changes.push(EdgeChange::ServiceChanged { service: service.to_owned() });
    }
    changes
}

/// A configuration taken apart: services by name, servers without their service routes, and everything else by path.
#[derive(Default)]
struct Parts<'c> {
    services: BTreeMap<&'c str, Route<'c>>,
    servers: BTreeMap<&'c str, Server<'c>>,
    others: BTreeMap<String, &'c Value>,
}

/// A service's route and the server that it stands in.
#[derive(Clone, Copy)]
struct Route<'c> {
    server: &'c str,
    chain: Chain<'c>,
}

/// A server without its service routes.
#[derive(Default)]
struct Server<'c> {
    settings: BTreeMap<&'c str, &'c Value>,
    named: Option<&'c Map<String, Value>>,
    /// The routes that no service has.
    routes: Vec<&'c Value>,
    /// All routes in their order: the service's name, or none for one of `routes`.
    order: Vec<Option<&'c str>>,
}

impl<'c> Server<'c> {
    /// True where both serve alike, but for services that come, go or change: routes that stay must stay in their order,
    /// since a catch-all before a service takes all of its requests.
    fn same(&self, other: &Self) -> bool {
        let theirs: BTreeSet<&str> = other.order.iter().copied().flatten().collect();
        let both = self.order.iter().copied().flatten().filter(|name| theirs.contains(name)).collect();
        self.settings.len() == other.settings.len()
            && self.settings.iter().all(|(key, value)| same_entry(Some(value), other.settings.get(key)))
            && self.has_named_of(other)
            && other.has_named_of(self)
            && self.routes.len() == other.routes.len()
            && self.routes.iter().zip(&other.routes).all(|(mine, theirs)| compare::same_value(mine, theirs))
            && self.order_of(&both) == other.order_of(&both)
    }

    /// True where each named route of the other is the same here. Sweeps come and go with services.
    fn has_named_of(&self, other: &Self) -> bool {
        other.named.into_iter().flatten().all(|(name, theirs)| match self.named.and_then(|named| named.get(name)) {
            Some(mine) => compare::same_value(mine, theirs),
            None => sweep::is_name(name),
        })
    }

    /// The order of these services' routes and of those that no service has.
    fn order_of(&self, services: &BTreeSet<&str>) -> Vec<Option<&'c str>> {
        self.order.iter().copied().filter(|it| it.is_none_or(|name| services.contains(name))).collect()
    }
}

impl<'c> Parts<'c> {
    fn of(config: &'c Value) -> Self {
        let mut parts = Self::default();
        let Some(config) = config.as_object() else { return parts };
        for (key, value) in config {
            match (key.as_str(), value) {
                ("admin", _) => {}
                ("apps", Value::Object(apps)) => parts.take_apps(apps),
                _ => _ = parts.others.insert(key.clone(), value),
            }
        }
        parts
    }

    fn take_apps(&mut self, apps: &'c Map<String, Value>) {
        for (key, app) in apps {
            let Some(http) = app.as_object().filter(|_| key == "http") else {
                self.others.insert(format!("apps.{key}"), app);
                continue;
            };
            for (key, value) in http {
                match (key.as_str(), value) {
                    ("servers", Value::Object(servers)) => {
                        for (name, server) in servers {
                            let server = self.take_server(name, server);
                            self.servers.insert(name, server);
                        }
                    }
                    _ => _ = self.others.insert(format!("apps.http.{key}"), value),
                }
            }
        }
    }

    /// Takes the services' routes out of a server; what is left is returned.
    fn take_server(&mut self, name: &'c str, json: &'c Value) -> Server<'c> {
        let mut server = Server::default();
        let Some(entries) = json.as_object() else {
            server.settings.insert("", json);
            return server;
        };
        let named = entries.get("named_routes").and_then(Value::as_object);
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("named_routes", Value::Object(_)) => server.named = named,
                ("routes", Value::Array(routes)) => {
                    for route in routes {
                        let service = self.take_route(name, Chain { route, named });
                        if service.is_none() {
                            server.routes.push(route);
                        }
                        server.order.push(service);
                    }
                }
                (key, value) => _ = server.settings.insert(key, value),
            }
        }
        server
    }

    /// The service that a route is of. A second route of one service is nobody's.
    fn take_route(&mut self, server: &'c str, chain: Chain<'c>) -> Option<&'c str> {
        let service = service_of_route_id(chain.route.get("@id")?.as_str()?)?;
        match self.services.entry(service) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(Route { server, chain });
                Some(service)
            }
        }
    }

    fn is_empty(&self) -> bool {
        let Self { services, servers, others } = self;
        services.is_empty() && servers.is_empty() && others.is_empty()
    }
}

fn union<'a, K: Ord, V>(a: &'a BTreeMap<K, V>, b: &'a BTreeMap<K, V>) -> BTreeSet<&'a K> {
    a.keys().chain(b.keys()).collect()
}

fn same_entry(a: Option<&&Value>, b: Option<&&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => compare::same_value(a, b),
        (None, None) => true,
        _ => false,
    }
}
