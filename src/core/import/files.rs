//! The files of an inventory.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::edge::{EdgePlan, Mode};
use super::names;
use super::proxy::Proxy;
use super::services::Planned;
use crate::core::inventory::format;
use crate::core::model::SiteName;

/// Keys in the order in which they are written.
type Document = Vec<(&'static str, Value)>;

/// Writes everything, by path.
pub(super) fn write(
    services: &[Planned],
    edge: &EdgePlan,
    email: Option<String>,
    site: Option<&SiteName>,
) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut sites: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut taken = std::collections::BTreeSet::new();
    for service in services {
        files.insert(format!("services/{}.yaml", service.name), text(&service_document(service)));
        for (index, (address, weight)) in service.proxy.upstreams.iter().enumerate() {
            let name = names::unique(&names::of_backend(&service.name, *address), &mut taken);
            let Some(network) = names::network(address.ip()) else { continue };
            let site = site.map_or_else(|| names::of_network(&network), ToString::to_string);
            let subnets = sites.entry(site.clone()).or_default();
            if !subnets.contains(&network.to_string()) {
                subnets.push(network.to_string());
            }
            let mut document: Document = vec![
                ("name", json!(name)),
                ("service", json!(service.name)),
                ("site", json!(site)),
                ("addr", json!(address.ip())),
                ("port", json!(address.port())),
            ];
            if *weight != 1 {
                document.push(("weight", json!(weight)));
            }
            if service.proxy.is_ordered {
                document.push(("tags", json!([place(index)])));
            }
            files.insert(format!("backends/{name}.yaml"), text(&document));
        }
    }
    for (name, mut subnets) in sites {
        subnets.sort();
        files.insert(format!("sites/{name}.yaml"), text(&vec![("name", json!(name)), ("subnets", json!(subnets))]));
    }
    let tls = match (&edge.mode, email) {
        (Mode::Acme { .. }, email) => json!({"mode": "acme", "email": email}),
        (Mode::Internal, _) => json!({"mode": "internal"}),
        (Mode::Off, _) => json!({"mode": "off"}),
    };
    let document =
        vec![("name", json!("edge")), ("admin", json!(edge.admin)), ("listen", json!(edge.listen)), ("tls", tls)];
    files.insert("edges/edge.yaml".to_owned(), text(&document));
    files
}

/// The tag of a backend whose place in the list counts.
fn place(index: usize) -> String {
    format!("place-{}", index + 1)
}

fn service_document(service: &Planned) -> Document {
    let Proxy { upstreams, is_ordered, sticky, health, tls, is_fresh, timeouts } = &service.proxy;
    let texts = |items: &[String]| json!(items);
    let domains: Vec<_> = service.domains.iter().map(ToString::to_string).collect();
    let paths: Vec<_> = service.paths.iter().map(ToString::to_string).collect();
    let mut document = vec![("name", json!(service.name)), ("domains", texts(&domains))];
    if paths != ["/"] {
        document.push(("paths", texts(&paths)));
    }
    document.extend(health.as_ref().map(|health| ("health", health_value(health))));
    let mut routing = serde_json::Map::new();
    if *is_ordered && upstreams.len() > 1 {
        routing.insert("policy".to_owned(), json!("priority"));
        routing.insert("tags".to_owned(), json!((0..upstreams.len()).map(place).collect::<Vec<_>>()));
    }
    if let Some(sticky) = sticky {
        routing.insert("sticky".to_owned(), json!(sticky.to_string()));
    }
    if !routing.is_empty() {
        document.push(("routing", routing.into()));
    }
    let mut upstream = serde_json::Map::new();
    if let Some(tls) = tls {
        upstream.insert("protocol".to_owned(), json!("https"));
        if let Some(name) = &tls.server_name {
            upstream.insert("server_name".to_owned(), json!(name.to_string()));
        }
        if !tls.is_verified {
            upstream.insert("verify".to_owned(), json!(false));
        }
    }
    if *is_fresh {
        upstream.insert("connections".to_owned(), json!("fresh"));
    }
    if !upstream.is_empty() {
        document.push(("upstream", upstream.into()));
    }
    if !timeouts.is_empty() {
        let timeouts: BTreeMap<_, _> = timeouts.iter().map(|(key, span)| (key, span.to_string())).collect();
        document.push(("timeouts", json!(timeouts)));
    }
    document
}

fn health_value(health: &super::health::Health) -> Value {
    let super::health::Health { path, port, method, host, headers, interval, timeout, rise, fall, status } = health;
    let mut question = serde_json::Map::new();
    question.insert("path".to_owned(), json!(path.to_string()));
    if let Some(port) = port {
        question.insert("port".to_owned(), json!(port));
    }
    if let Some(method) = method {
        question.insert("method".to_owned(), json!(method));
    }
    if let Some(host) = host {
        question.insert("host".to_owned(), json!(host.to_string()));
    }
    if !headers.is_empty() {
        question.insert("headers".to_owned(), json!(headers));
    }
    if let Some(status) = status {
        question.insert("expect".to_owned(), json!({"status": [status]}));
    }
    // Another port is said in a list only.
    let mut value =
        if port.is_some() { serde_json::Map::from_iter([("all".to_owned(), json!([question]))]) } else { question };
    value.insert("interval".to_owned(), json!(interval.to_string()));
    value.insert("timeout".to_owned(), json!(timeout.to_string()));
    value.insert("rise".to_owned(), json!(rise));
    value.insert("fall".to_owned(), json!(fall));
    value.into()
}

/// A document in the one style: JSON is YAML, and the formatter does the rest.
fn text(document: &Document) -> String {
    let lines: String = document.iter().flat_map(|(key, value)| [key.to_string(), format!(": {value}\n")]).collect();
    format(&lines).unwrap_or(lines)
}
