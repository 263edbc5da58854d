//! The way of what an edge says it runs: JSON → compare → diff, and the import of it.

use std::sync::LazyLock;

use bascule::core::caddy::compare::{canonical_bytes, digest, is_empty, same, with_admin_of};
use bascule::core::caddy::{Pool, Seen, dialed, diff, render};
use bascule::core::import::{Extent, ImportError, Settings, import, text};
use bascule::core::inventory::{load, starter};
use bascule::core::model::{FileSet, Revision};
use bascule::core::routing::{Inputs, plan};
use serde_json::Value;

/// What an edge should run.
static WANTED: LazyLock<Value> = LazyLock::new(|| {
    let files: FileSet = starter()
        .into_iter()
        .filter(|(path, _)| FileSet::is_inventory_file(path))
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    let desired = load(&files, Revision::new("fuzz")).desired.expect("the starter is valid");
    let edge = desired.edges.values().next().expect("the starter has an edge");
    render(&plan(&Inputs::declared(&desired)).effective, edge, &Pool::strict()).config()
});

/// Takes bytes as the configuration of an edge.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Value>(bytes) else { return };
    compared(&config);
    match import(&config, &Settings::default()) {
        Ok(imported) => {
            let _ = text(&imported, Extent::Whole);
            // What was imported once is imported again, and then nothing is lost.
            compared(&imported.rendered.config());
        }
        Err(ImportError::NoServers | ImportError::Nothing(_)) => {}
        Err(ImportError::Invalid(faults)) => panic!("what was made is no inventory: {faults:?}"),
    }
}

fn compared(config: &Value) {
    let (wanted, own) = (digest(&WANTED), digest(config));
    assert!(same(config, config), "it is the same as itself");
    assert_eq!(same(config, &WANTED), own == wanted, "sameness and digest agree");
    assert_eq!(Seen::judge(config, &wanted, &[]).digest, own);
    assert!(diff(config, config).is_empty(), "it does not differ from itself: {:?}", diff(config, config));
    let there = diff(config, &WANTED);
    assert_eq!(there.is_empty(), own == wanted, "a difference is told, and only then: {there:?}");
    let _ = (diff(&WANTED, config), dialed(config), is_empty(config));
    assert!(same(&with_admin_of(&WANTED, config), &WANTED), "what is pushed is what is wanted");
    let again: Value = serde_json::from_slice(&canonical_bytes(config)).expect("canonical bytes are JSON");
    assert_eq!(digest(&again), own, "the canonical spelling says the same");
}
