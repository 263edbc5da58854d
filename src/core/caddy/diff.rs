use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::service_of_route_id;

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
    /// A server of the edge appears, goes away, or listens or serves otherwise than by its services.
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
    /// A service is served otherwise: domains, paths, checks, timeouts, weights.
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

impl fmt::Display for EdgeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromNothing => f.write_str("+ the edge runs nothing yet"),
            Self::ForeignServerRemoved { server } => write!(f, "- server {server}, which is not from this inventory"),
            Self::ServerChanged { server } => write!(f, "~ server {server}"),
            Self::PartChanged { part } => write!(f, "~ {part}"),
            Self::ServiceAdded { service, upstreams } => {
                write!(f, "+ service {service}")?;
                if upstreams.is_empty() { Ok(()) } else { write!(f, " -> {}", upstreams.join(", ")) }
            }
            Self::ServiceRemoved { service } => write!(f, "- service {service}"),
            Self::ServiceChanged { service } => write!(f, "~ service {service}: settings"),
            Self::UpstreamAdded { service, upstream } => write!(f, "~ service {service}: + upstream {upstream}"),
            Self::UpstreamRemoved { service, upstream } => write!(f, "~ service {service}: - upstream {upstream}"),
        }
    }
}

/// What differs between what an edge runs and what it should run, in words of the inventory. Empty exactly when the two are
/// the same but for the `admin` section and the order of keys.
pub fn diff(actual: &Value, rendered: &Value) -> Vec<EdgeChange> {
    let (before, after) = (Parts::of(actual), Parts::of(rendered));
    let mut changes = Vec::new();
    if before.is_empty() && !after.is_empty() {
        changes.push(EdgeChange::FromNothing);
    }
    for name in union(&before.servers, &after.servers) {
        let server = || name.clone();
        match (before.servers.get(name), after.servers.get(name)) {
            (Some(_), None) if !name.starts_with("bascule-") => {
                changes.push(EdgeChange::ForeignServerRemoved { server: server() });
            }
            (before, after) if before != after => changes.push(EdgeChange::ServerChanged { server: server() }),
            _ => {}
        }
    }
    for part in union(&before.others, &after.others) {
        if before.others.get(part) != after.others.get(part) {
            changes.push(EdgeChange::PartChanged { part: part.clone() });
        }
    }
    for service in union(&before.services, &after.services) {
        let name = || service.clone();
        match (before.services.get(service), after.services.get(service)) {
            (None, Some(route)) => changes.push(EdgeChange::ServiceAdded { service: name(), upstreams: dials(route) }),
            (Some(_), None) => changes.push(EdgeChange::ServiceRemoved { service: name() }),
            (Some(before), Some(after)) if before != after => changes.extend(of_service(service, before, after)),
            _ => {}
        }
    }
    changes
}

fn of_service(service: &str, before: &Value, after: &Value) -> Vec<EdgeChange> {
    let (old, new) = (dials(before), dials(after));
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
    if changes.is_empty() || without_upstreams(before) != without_upstreams(after) {
        changes.push(EdgeChange::ServiceChanged { service: service.to_owned() });
    }
    changes
}

/// A configuration taken apart: services by name, servers without their service routes, and everything else by path.
#[derive(Default)]
struct Parts {
    services: BTreeMap<String, Value>,
    servers: BTreeMap<String, Value>,
    others: BTreeMap<String, Value>,
}

impl Parts {
    fn of(config: &Value) -> Self {
        let mut parts = Self::default();
        let Some(config) = config.as_object() else { return parts };
        for (key, value) in config {
            match (key.as_str(), value) {
                ("admin", _) => {}
                ("apps", Value::Object(apps)) => parts.take_apps(apps),
                _ => {
                    parts.others.insert(key.clone(), value.clone());
                }
            }
        }
        parts
    }

    fn take_apps(&mut self, apps: &Map<String, Value>) {
        for (key, app) in apps {
            let Some(http) = app.as_object().filter(|_| key == "http") else {
                self.others.insert(format!("apps.{key}"), app.clone());
                continue;
            };
            for (key, value) in http {
                match (key.as_str(), value) {
                    ("servers", Value::Object(servers)) => {
                        for (name, server) in servers {
                            let rest = self.take_routes(name, server);
                            self.servers.insert(name.clone(), rest);
                        }
                    }
                    _ => {
                        self.others.insert(format!("apps.http.{key}"), value.clone());
                    }
                }
            }
        }
    }

    /// Takes the services' routes out of a server; what is left is returned.
    fn take_routes(&mut self, name: &str, server: &Value) -> Value {
        let mut rest = server.clone();
        if let Some(routes) = rest.get_mut("routes").and_then(Value::as_array_mut) {
            routes.retain(|route| {
                let id = route.get("@id").and_then(Value::as_str);
                let Some(service) = id.and_then(service_of_route_id) else { return true };
                // The server's name is part of it: a service that moves between listeners changes.
                let mut route = route.clone();
                route["server"] = Value::from(name);
                self.services.insert(service.to_owned(), route).is_some()
            });
        }
        rest
    }

    fn is_empty(&self) -> bool {
        let Self { services, servers, others } = self;
        services.is_empty() && servers.is_empty() && others.is_empty()
    }
}

fn union<'a, V>(a: &'a BTreeMap<String, V>, b: &'a BTreeMap<String, V>) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

fn dials(route: &Value) -> Vec<String> {
    let upstreams = route.pointer("/handle/0/upstreams").and_then(Value::as_array);
    let dial = |upstream: &Value| Some(upstream.get("dial")?.as_str()?.to_owned());
    upstreams.into_iter().flatten().filter_map(dial).collect()
}

/// A route without what follows from its list of upstreams.
fn without_upstreams(route: &Value) -> Value {
    let mut route = route.clone();
    if let Some(handler) = route.pointer_mut("/handle/0").and_then(Value::as_object_mut) {
        handler.remove("upstreams");
        if let Some(balancing) = handler.get_mut("load_balancing").and_then(Value::as_object_mut) {
            balancing.remove("selection_policy");
            balancing.remove("retries");
        }
    }
    route
}
