//! Real inventories, written as YAML and read by the real reader.
//!
//! Every address is of loopback: what is rendered from here is also loaded into a Caddy that checks its upstreams.

use std::sync::Arc;

use bascule::core::caddy::{self, Pool, Rendered};
use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::inventory::{BackendState, Desired, Edge, load};
use bascule::core::model::{FileSet, Generation, Revision};
use bascule::core::routing::{self, Effective, Plan};

/// Two sites, by network.
const SITES: &str = "name: dijon\nsubnets: [127.1.0.0/16, 'fd00:1::/64']\n---\n\
                     name: thory\nsubnets: [127.2.0.0/16, 'fd00:2::/64']\n";

/// An edge that needs no certificate.
pub const PLAIN_EDGE: &str = "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':8080']\ntls: {mode: off}\n\
                              relay: {enabled: false}\n";

/// The documents of each folder but `sites/`, several in a text.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'t> {
    /// `edges/`.
    pub edges: &'t str,
    /// `services/`.
    pub services: &'t str,
    /// `backends/`.
    pub backends: &'t str,
}

/// The files of an inventory, one for each folder.
pub fn files(texts: Texts<'_>) -> FileSet {
    let Texts { edges, services, backends } = texts;
    let folders = [("sites", SITES), ("edges", edges), ("services", services), ("backends", backends)];
    folders.into_iter().map(|(folder, text)| (format!("{folder}/all.yaml"), text.as_bytes().to_vec())).collect()
}

/// Desired state. Panics with the diagnostics of an inventory that has errors.
#[track_caller]
pub fn desired_of(files: &FileSet) -> Desired {
    let loaded = load(files, Revision::new("0123456789abcdef"));
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded.desired.unwrap_or_else(|| panic!("the inventory is refused:\n{}", shown.join("\n")))
}

/// Desired state of texts.
#[track_caller]
pub fn desired(texts: Texts<'_>) -> Desired {
    desired_of(&files(texts))
}

/// Every backend as `verdict` says, which gets its name.
pub fn observed(desired: &Desired, verdict: impl Fn(&str) -> Verdict) -> Observed {
    let health = |verdict| BackendHealth { verdict, ..BackendHealth::default() };
    let backends = desired.backends.keys().map(|name| (name.clone(), health(verdict(name.as_str())))).collect();
    Observed { generation: Generation(7), revision: None, isolated_since: None, backends }
}

/// A plan without operators and memory, at the first moment there is.
pub fn plan(desired: &Desired, observed: &Observed, previous: Option<&Effective>) -> Plan {
    routing::plan(&routing::Inputs { observed, previous, ..routing::Inputs::declared(desired) })
}

/// What such a plan would serve.
pub fn merge(desired: &Desired, observed: &Observed) -> Effective {
    plan(desired, observed, None).effective
}

/// Rendered with nothing that gets no traffic.
pub fn render(effective: &Effective, edge: &Edge) -> Rendered {
    caddy::render(effective, edge, &Pool::strict())
}

/// Changes a backend's state past the reader, which refuses a service that its owner took out as a whole.
pub fn set_state(desired: &mut Desired, backend: &str, state: BackendState) {
    let found = desired.backends.values_mut().find(|it| it.name.as_str() == backend);
    Arc::make_mut(found.expect("a backend of that name")).state = state;
}
