use serde_json::{Map, Value};

/// What of a request decides in Caddy's `host` and `path` matchers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The host as a client writes it; a port is no part of what Caddy compares.
    pub host: String,
    /// The path.
    pub path: String,
}

/// Hosts and paths that a route is for, as Caddy's patterns; none is every one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) hosts: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
}

impl Scope {
    /// What is in both; none where nothing can be.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let hosts = both(self.hosts.as_ref(), other.hosts.as_ref(), host_matches)?;
        let paths = both(self.paths.as_ref(), other.paths.as_ref(), path_covers)?;
        Some(Self { hosts, paths })
    }

    /// True where all of `other` is in here.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let all = |mine: Option<&Vec<String>>, others: Option<&Vec<String>>, covers: fn(&str, &str) -> bool| match (
            mine, others,
        ) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(others)) => others.iter().all(|other| mine.iter().any(|it| covers(it, other))),
        };
        all(self.hosts.as_ref(), other.hosts.as_ref(), host_matches)
            && all(self.paths.as_ref(), other.paths.as_ref(), path_covers)
    }
}

/// What two lists have in common; the outer none is nothing, the inner one everything.
#[expect(clippy::option_option, reason = "nothing and everything are two things")]
fn both(
    one: Option<&Vec<String>>,
    other: Option<&Vec<String>>,
    covers: impl Fn(&str, &str) -> bool,
) -> Option<Option<Vec<String>>> {
    let (one, other) = match (one, other) {
        // A list without an item matches nothing.
        (None, only) | (only, None) => return only.is_none_or(|only| !only.is_empty()).then(|| only.cloned()),
        (Some(one), Some(other)) => (one, other),
    };
    let mut found: Vec<String> = Vec::new();
    for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
        let common = if covers(a, b) {
            b
        } else if covers(b, a) {
            a
        } else {
            continue;
        };
        if !found.contains(common) {
            found.push(common.clone());
        }
    }
    (!found.is_empty()).then_some(Some(found))
}

/// The host and path patterns of a matcher set, in lower case, and the names of its other matchers.
pub(super) fn of_set(set: &Map<String, Value>) -> (Scope, Vec<&str>) {
    let list = |key: &str| {
        let values = set.get(key)?.as_array()?;
        Some(values.iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect::<Vec<_>>())
    };
    let others = set.keys().map(String::as_str).filter(|key| !matches!(*key, "host" | "path")).collect();
    (Scope { hosts: list("host"), paths: list("path") }, others)
}

/// Caddy's host matcher: label by label, where `*` stands for one, without regard to case.
pub(super) fn host_matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    let same = |(a, b): (&str, &str)| a == "*" || a == b;
    pattern == host
        || (pattern.contains('*')
            && pattern.split('.').count() == host.split('.').count()
            && pattern.split('.').zip(host.split('.')).all(same))
}

/// Caddy's path matcher, without regard to case; none for a pattern that is not read here.
pub(super) fn path_matches(pattern: &str, path: &str) -> Option<bool> {
    let (pattern, path) = (pattern.to_ascii_lowercase(), path.to_ascii_lowercase());
    if pattern == "*" {
        return Some(true);
    }
    let inner = pattern.trim_matches('*');
    if inner.contains(['*', '?', '[', '\\', '%', '{']) {
        return None;
    }
    Some(match (pattern.starts_with('*'), pattern.ends_with('*')) {
        (true, true) => path.contains(inner),
        (true, false) => path.ends_with(inner),
        (false, true) => path.starts_with(inner),
        (false, false) => path == inner,
    })
}

/// True where every path of `inner` is one of `outer`; both are patterns. What is not read is taken for its own.
fn path_covers(outer: &str, inner: &str) -> bool {
    let prefix = |pattern: &str| pattern.strip_suffix('*').filter(|it| !it.contains('*')).map(str::to_owned);
    outer == inner
        || match (prefix(outer), prefix(inner)) {
            (Some(outer), Some(inner)) => inner.starts_with(&outer),
            (Some(outer), None) => !inner.contains('*') && inner.starts_with(&outer),
            (None, _) => false,
        }
}
