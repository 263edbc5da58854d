//! A service's route read back: the links of its chain, whatever their number, in words that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::UpstreamWeight;
use super::compare::canonical_bytes;

/// Deepest chain that is followed; what is rendered has a link for each tier and each of a few backends.
const DEPTH_MAX: usize = 64;

/// A service's route, with the named routes of its server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain<'c> {
    pub(super) route: &'c Value,
    pub(super) named: Option<&'c Map<String, Value>>,
}

/// A handler as a request meets it.
struct Met<'c> {
    handler: &'c Map<String, Value>,
    /// The variables that were set last before.
    vars: Option<&'c Map<String, Value>>,
}

impl<'c> Chain<'c> {
    /// The handlers, in the order in which a request meets them.
    fn handlers(self) -> Vec<Met<'c>> {
        let mut found = Vec::new();
        self.visit(self.route, None, 0, &mut found);
        found
    }

    fn visit(self, route: &'c Value, vars: Option<&'c Map<String, Value>>, depth: usize, found: &mut Vec<Met<'c>>) {
        if depth > DEPTH_MAX {
            return;
        }
        let mut vars = vars;
        let list = |value: Option<&'c Value>| value.and_then(Value::as_array).into_iter().flatten();
        for handler in list(route.get("handle")).filter_map(Value::as_object) {
            match handler.get("handler").and_then(Value::as_str) {
                Some("subroute") => {
                    let errors = handler.get("errors").and_then(|it| it.get("routes"));
                    for nested in list(handler.get("routes")).chain(list(errors)) {
                        self.visit(nested, vars, depth + 1, found);
                    }
                }
                Some("vars") => vars = Some(handler),
                Some("invoke") => {
                    let name = handler.get("name").and_then(Value::as_str).unwrap_or_default();
                    if let Some(named) = self.named.and_then(|named| named.get(name)) {
                        self.visit(named, vars, depth + 1, found);
                    }
                }
                // Serves nobody.
                Some("log_append") => {}
                _ => found.push(Met { handler, vars }),
            }
        }
    }
}

impl<'c> Met<'c> {
    fn dials(&self) -> impl Iterator<Item = &'c str> {
        let vars = self.vars;
        let dial = move |upstream: &'c Value| {
            let dial = upstream.get("dial")?.as_str()?;
            let variable = dial.strip_prefix("{http.vars.").and_then(|dial| dial.strip_suffix('}'));
            let value = |variable: &str| vars?.get(variable)?.as_str();
            Some(variable.and_then(value).unwrap_or(dial))
        };
        self.handler.get("upstreams").and_then(Value::as_array).into_iter().flatten().filter_map(dial)
    }
}

/// Every address that a route dials, each once, in the order in which it is first tried.
pub(super) fn dials(chain: Chain<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let handlers = chain.handlers();
    let all = handlers.iter().flat_map(Met::dials);
    all.filter(|dial| seen.insert(*dial)).map(str::to_owned).collect()
}

/// The shares of a route's upstreams in the first link that each is in; none where one is not chosen by turns.
pub(super) fn weights(chain: Chain<'_>) -> Option<Vec<UpstreamWeight>> {
    let mut weights: Vec<UpstreamWeight> = Vec::new();
    for met in chain.handlers().into_iter().filter(|met| met.handler.contains_key("upstreams")) {
        let policy = met.handler.get("load_balancing")?.get("selection_policy")?.get("policy")?.as_str()?;
        if policy != "round_robin" {
            return None;
        }
        // An upstream stands in the list as often as its weight says.
        let mut places: BTreeMap<&str, u64> = BTreeMap::new();
        for dial in met.dials() {
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
pub(super) fn essence(chain: Chain<'_>) -> (Vec<u8>, BTreeSet<Vec<u8>>) {
    let bare = |met: Met<'_>| {
        let mut handler = met.handler.clone();
        // The last link lets answers pass; which one is the last follows from the list.
        for key in ["upstreams", "handle_response"] {
            handler.remove(key);
        }
        if let Some(balancing) = handler.get_mut("load_balancing").and_then(Value::as_object_mut) {
            balancing.retain(|key, _| key != "retries" && key != "selection_policy");
        }
        canonical_bytes(&Value::Object(handler))
    };
    let links = chain.handlers().into_iter().map(bare).collect();
    let mut route = chain.route.clone();
    if let Some(route) = route.as_object_mut() {
        route.remove("handle");
    }
    (canonical_bytes(&route), links)
}
