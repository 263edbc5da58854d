//! What `make fuzz` came upon, replayed: inputs that reach new code (`fuzz/corpus/`), and those that once were too much
//! (`fuzz/regressions/`).

mod caddy;
mod inventory;
mod webhook;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest that one input may take, on a machine that is busy with other tests and without optimization.
const SLOW: Duration = Duration::from_secs(10);

fn replay(target: &str, at_least: usize, run: fn(&[u8])) {
    let mut count = 0;
    for path in ["corpus", "regressions"].into_iter().flat_map(|kind| inputs(kind, target)) {
        let bytes = std::fs::read(&path).expect("an input");
        let began_at = Instant::now();
        let ended = catch_unwind(|| run(&bytes));
        assert!(ended.is_ok(), "{} ends in a panic", path.display());
        assert!(began_at.elapsed() < SLOW, "{} takes {:?}", path.display(), began_at.elapsed());
        count += 1;
    }
    assert!(count >= at_least, "only {count} inputs were found");
}

fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn no_inventory_is_too_much() {
    replay("inventory", 0, inventory::run);
}

#[test]
fn no_delivery_is_too_much() {
    replay("webhook", 20, webhook::run);
}

#[test]
fn no_configuration_of_an_edge_is_too_much() {
    replay("caddy", 0, caddy::run);
}
