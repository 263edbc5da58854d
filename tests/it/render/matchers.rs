//! A small evaluator of Caddy's host, path and `not` matchers, as its documentation describes them.

use serde_json::Value;

/// The `@id` of every route of the only server that matches a request.
pub(super) fn matching(config: &Value, host: &str, path: &str) -> Vec<String> {
    let routes = config["apps"]["http"]["servers"]["bascule-http"]["routes"].as_array().expect("routes");
    let named = routes.iter().filter_map(|route| Some((route["@id"].as_str()?, route)));
    named.filter(|(_, route)| any_set(&route["match"], host, path)).map(|(id, _)| id.to_owned()).collect()
}

/// Sets are alternatives; what is in a set must all hold.
fn any_set(sets: &Value, host: &str, path: &str) -> bool {
    sets.as_array().expect("matcher sets").iter().any(|set| {
        set.as_object().expect("a matcher set").iter().all(|(matcher, value)| match matcher.as_str() {
            "host" => texts(value).any(|pattern| host_matches(pattern, host)),
            "path" => texts(value).any(|pattern| path_matches(pattern, path)),
            "not" => !any_set(value, host, path),
            other => panic!("a matcher that nobody renders: {other}"),
        })
    })
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text"))
}

/// A `*` stands for one label.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (pattern, host): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern.len() == host.len()
        && pattern.iter().zip(&host).all(|(pattern, label)| *pattern == "*" || pattern.eq_ignore_ascii_case(label))
}

/// A `*` at the end stands for anything; case does not count.
fn path_matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.to_ascii_lowercase(), path.to_ascii_lowercase());
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    }
}
