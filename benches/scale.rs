//! What planning costs as an inventory grows: reading and checking, planning, rendering, comparing, and memory.
//!
//! `cargo bench --bench scale`. Every figure is the median of several runs in this process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bascule::core::caddy::{Pool, diff, render};
use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::inventory::{Desired, load};
use bascule::core::model::{FileSet, Generation, Revision};
use bascule::core::routing::{Effective, Inputs, plan};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const BACKENDS: usize = 3;
/// Runs that a median is taken of.
const RUNS: usize = 5;

fn main() {
    println!(
        "{:>8} {:>9} {:>12} {:>12} {:>12} {:>12} {:>12} {:>10}",
        "services", "backends", "check ms", "plan ms", "replan ms", "render ms", "diff ms", "RSS MB"
    );
    for services in SIZES {
        measure(services);
    }
}

fn measure(services: usize) {
    let files = inventory(services);
    let (check, loaded) = median(|| load(&files, Revision::new("bench")));
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics.first());
    let desired = loaded.desired.expect("no diagnostics");
    let (up, some_down) = (observed(&desired, 0), observed(&desired, 10));
    let (first, before) = median(|| plan(&inputs(&desired, &up, None)));
    let (again, after) = median(|| plan(&inputs(&desired, &some_down, Some(&before.effective))));
    let edge = desired.edges.values().next().expect("an edge");
    let (rendering, rendered) = median(|| render(&after.effective, edge, &Pool::strict()));
    let actual = render(&before.effective, edge, &Pool::strict()).config();
    let wanted = rendered.config();
    let (comparing, changes) = median(|| diff(&actual, &wanted));
    assert!(!changes.is_empty());
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    println!(
        "{services:>8} {:>9} {:>12.1} {:>12.1} {:>12.1} {:>12.1} {:>12.1} {:>10.0}",
        desired.backends.len(),
        ms(check),
        ms(first),
        ms(again),
        ms(rendering),
        ms(comparing),
        resident_mb()
    );
}

fn inputs<'a>(desired: &'a Desired, observed: &'a Observed, previous: Option<&'a Effective>) -> Inputs<'a> {
    Inputs { observed, previous, ..Inputs::declared(desired) }
}

/// Two sites, `services` services, three backends each, one file a document: as people write them.
fn inventory(services: usize) -> FileSet {
    let mut files = FileSet::new();
    let mut add = |path: String, text: String| files.insert(path, text.into_bytes());
    for (site, network) in [("dijon", 1), ("thory", 2)] {
        add(format!("sites/{site}.yaml"), format!("name: {site}\nsubnets: [10.{network}.0.0/16]\n"));
    }
    add(
        "edges/ovh.yaml".to_owned(),
        "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [\":443\", \":80\"]\ntls: {mode: internal}\n".to_owned(),
    );
    for service in 0..services {
        let name = format!("service-{service}");
        add(
            format!("services/{name}.yaml"),
            format!(
                "# A service.\nname: {name}\ndomains: [{name}.acecinema.fr]\nhealth: {{ path: /health, interval: 5s, timeout: 1s }}\n"
            ),
        );
        for number in 0..BACKENDS {
            let (site, network) = if number % 2 == 0 { ("dijon", 1) } else { ("thory", 2) };
            let port = 8000 + number;
            let (third, fourth) = (service / 250, service % 250 + 1);
            add(
                format!("backends/{name}-{number}.yaml"),
                format!(
                    "service: {name}\nname: {name}-{number}\nsite: {site}\naddr: 10.{network}.{third}.{fourth}\n\
                     port: {port}\nweight: {}\ntags: [ssd]\n",
                    number + 1
                ),
            );
        }
    }
    files
}

/// Every backend up, but for one in `down_each` (none for zero).
fn observed(desired: &Desired, down_each: usize) -> Observed {
    let health = |(number, name): (usize, &bascule::core::model::BackendName)| {
        let is_down = down_each > 0 && number % down_each == 0;
        let verdict = if is_down { Verdict::Down } else { Verdict::Up };
        (name.clone(), BackendHealth { verdict, ..BackendHealth::default() })
    };
    let backends: BTreeMap<_, _> = desired.backends.keys().enumerate().map(health).collect();
    Observed { generation: Generation(1), revision: None, isolated_since: None, backends }
}

fn median<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..RUNS {
        drop(last.take());
        let start = Instant::now();
        last = Some(work());
        times.push(start.elapsed());
    }
    times.sort();
    (times[RUNS / 2], last.expect("at least one run"))
}

/// Resident memory of this process, from `/proc/self/statm` (pages of 4 KiB).
fn resident_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096.0 / 1e6
}
