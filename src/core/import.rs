//! From an existing Caddy configuration to an inventory: what it can say, what it cannot, and a proof of the rest.

mod claims;
mod edge;
mod evaluate;
mod files;
mod health;
mod names;
mod proof;
mod proxy;
mod report;
mod scope;
mod services;
mod span;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::proof::{Difference, Proof};
pub use self::report::{Extent, text};
pub use self::scope::Request;
use crate::core::caddy::{Pool, Rendered, render};
use crate::core::inventory::load;
use crate::core::model::{AdminAddress, Diagnostic, FileSet, Hostname, Revision, SiteName};
use crate::core::routing::{Inputs, plan};

/// What an import is told besides the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The one site of all backends; without it each network of addresses is one.
    pub site: Option<SiteName>,
    /// The admin API that the configuration came from.
    pub admin: Option<AdminAddress>,
}

/// An imported configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The files of the inventory, by path.
    pub files: BTreeMap<String, String>,
    /// What was not carried, and why, by its JSON path.
    pub left_out: BTreeMap<String, String>,
    /// What an edge of the inventory runs.
    pub rendered: Rendered,
    /// How that compares with the old configuration.
    pub proof: Proof,
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nothing that serves HTTP.
    #[error("the configuration has no `apps.http.servers`: give what `caddy adapt` prints, or the whole of `/config/`")]
    NoServers,
    /// No route could be carried.
    #[error("no route could be imported:\n{}", .0.iter().map(|(at, why)| format!("  {at}: {why}")).collect::<Vec<_>>().join("\n"))]
    Nothing(BTreeMap<String, String>),
    /// What was made is no inventory: a fault of the import itself.
    #[error("the imported inventory is invalid:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Diagnostic>),
}

/// Imports a configuration.
pub fn import(config: &Value, settings: &Settings) -> Result<Import, ImportError> {
    let servers = config.pointer("/apps/http/servers").and_then(Value::as_object).ok_or(ImportError::NoServers)?;
    let mut walk = claims::Walk::default();
    for (name, server) in servers {
        walk.server(name, server.get("routes"));
    }
    let claims::Walk { mut leaves, mut notes, .. } = walk;
    others(config, &mut notes);
    let edge = edge::read(config, settings.admin.as_ref(), &mut leaves, &mut notes);
    let services = services::plan(&leaves, &mut notes);
    if services.is_empty() {
        return Err(ImportError::Nothing(notes));
    }
    let domains: Vec<&Hostname> = services.iter().flat_map(|service| &service.domains).collect();
    let email = match &edge.mode {
        edge::Mode::Acme { email } => Some(edge::email(email.as_ref(), &domains, &mut notes)),
        edge::Mode::Internal | edge::Mode::Off => None,
    };
    let files = files::write(&services, &edge, email, settings.site.as_ref());
    let set: FileSet = files.iter().map(|(path, text)| (path.clone(), text.as_bytes().to_vec())).collect();
    let loaded = load(&set, Revision::new("import"));
    let desired = loaded.desired.ok_or(ImportError::Invalid(loaded.diagnostics))?;
    let effective = plan(&Inputs::declared(&desired)).effective;
    let Some(edge) = desired.edges.values().next() else { return Err(ImportError::Nothing(notes)) };
    let rendered = render(&effective, edge, &Pool::strict());
    let proof = proof::prove(config, &rendered.config(), &services, &notes);
    Ok(Import { files, left_out: notes, rendered, proof })
}

/// What stands beside the servers.
fn others(config: &Value, notes: &mut BTreeMap<String, String>) {
    let known: [(&str, &str, &[&str], &str); 5] = [
        ("", "", &["admin", "apps"], "an inventory has no such section"),
        ("/apps", "apps.", &["http", "tls"], "Bascule configures the apps `http` and `tls`; an edge has no other"),
        ("/apps/http", "apps.http.", &["servers", "http_port"], claims::UNKNOWN),
        ("/apps/tls", "apps.tls.", &["automation"], claims::UNKNOWN),
        ("/apps/tls/automation", "apps.tls.automation.", &["policies"], claims::UNKNOWN),
    ];
    for (pointer, above, known, why) in known {
        claims::note_others(notes, config.pointer(pointer), above, known, why);
    }
}

impl Import {
    /// True where every request that was asked about reaches the upstreams that it reached.
    pub fn is_proved(&self) -> bool {
        self.proof.differences.is_empty()
    }

    /// True where every difference is explained.
    pub fn is_explained(&self) -> bool {
        self.proof.differences.iter().all(|difference| difference.reason.is_some())
    }
}
