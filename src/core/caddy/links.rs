//! A service's route read back: the links of its chain, whatever their number, in words that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::UpstreamWeight;
use super::compare::canonical_bytes;

/// Deepest chain that is followed; what is rendered has a link for each tier and each of a few backends.
const DEPTH_MAX: usize = 64;

/// The handlers of a route, in the order in which a request meets them.
fn handlers(route: &Value) -> Vec<&Map<String, Value>> {
    let mut found = Vec::new();
    visit(route, 0, &mut found);
    found
}

fn visit<'r>(route: &'r Value, depth: usize, found: &mut Vec<&'r Map<String, Value>>) {
    if depth > DEPTH_MAX {
        return;
    }
    let list = |value: Option<&'r Value>| value.and_then(Value::as_array).into_iter().flatten();
    for handler in list(route.get("handle")).filter_map(Value::as_object) {
        if handler.get("handler").and_then(Value::as_str) != Some("subroute") {
            found.push(handler);
            continue;
        }
        for nested in list(handler.get("routes")).chain(list(handler.get("errors").and_then(|it| it.get("routes")))) {
            visit(nested, depth + 1, found);
        }
    }
}

fn dials_of(handler: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let upstreams = handler.get("upstreams").and_then(Value::as_array);
    upstreams.into_iter().flatten().filter_map(|upstream| upstream.get("dial")?.as_str())
}

/// Every address that a route dials, each once, in the order in which it is first tried.
pub(super) fn dials(route: &Value) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = handlers(route).into_iter().flat_map(dials_of);
    all.filter(|dial| seen.insert(*dial)).map(str::to_owned).collect()
}

/// The shares of a route's upstreams in the first link that each is in; none where one is not chosen by turns.
pub(super) fn weights(route: &Value) -> Option<Vec<UpstreamWeight>> {
    let mut weights: Vec<UpstreamWeight> = Vec::new();
    for handler in handlers(route).into_iter().filter(|handler| handler.contains_key("upstreams")) {
        let policy = handler.get("load_balancing")?.get("selection_policy")?.get("policy")?.as_str()?;
        if policy != "round_robin" {
            return None;
        }
        // An upstream stands in the list as often as its weight says.
        let mut places: BTreeMap<&str, u64> = BTreeMap::new();
        for dial in dials_of(handler) {
            *places.entry(dial).or_default() += 1;
        }
        let is_known = |dial: &str| weights.iter().any(|it| it.upstream == dial);
        let firsts: Vec<_> = places
            .into_iter()
            .filter(|(dial, _)| !is_known(dial))
            .map(|(dial, weight)| UpstreamWeight { upstream: dial.to_owned(), weight })
            .collect();
        weights.extend(firsts);
    }
    weights.sort();
    Some(weights)
}

/// A route without what follows from its list of upstreams: what is left of two routes is the same exactly when they serve
/// alike but for addresses and weights.
pub(super) fn essence(route: &Value) -> (Vec<u8>, BTreeSet<Vec<u8>>) {
    let bare = |handler: &Map<String, Value>| {
        let mut handler = handler.clone();
        // The last link lets answers pass; which one is the last follows from the list.
        for key in ["upstreams", "handle_response"] {
            handler.remove(key);
        }
        if let Some(balancing) = handler.get_mut("load_balancing").and_then(Value::as_object_mut) {
            balancing.retain(|key, _| key != "retries" && key != "selection_policy");
        }
        canonical_bytes(&Value::Object(handler))
    };
    let links = handlers(route).into_iter().map(bare).collect();
    let mut route = route.clone();
    if let Some(route) = route.as_object_mut() {
        route.remove("handle");
    }
    (canonical_bytes(&route), links)
}
