//! Deterministic simulation.

mod admin;
mod clock;
mod config;
mod controller;
mod damping;
mod edge;
mod events;
mod history;
mod inventory;
mod observing;
mod operators;
mod planning;
mod pushing;
mod request;
mod run;
mod serving;
mod settling;
mod source;
mod truth;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::history::Kept;
use self::run::{Outcome, simulate};

/// Failed seeds after which no more are tried.
const SHOWN: usize = 20;
/// Seeds of an ordinary run.
const SEEDS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {text}")))
}

#[test]
fn every_seed_holds_the_invariants() {
    if let Some(seed) = number("BASCULE_SIM_SEED") {
        let outcome = simulate(seed, Kept::Printed);
        println!("{} steps, {:?} simulated, history {:016x}", outcome.steps, outcome.simulated, outcome.hash);
        assert!(outcome.fault.is_none(), "seed {seed}: {:?}", outcome.fault);
        return;
    }
    let (first, count) = (number("BASCULE_SIM_FIRST").unwrap_or(0), number("BASCULE_SIM_SEEDS").unwrap_or(SEEDS));
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let failed: Mutex<Vec<(u64, Outcome)>> = Mutex::default();
    let simulated_ms = AtomicU64::new(0);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= first + count || failed.lock().expect("no thread panics").len() >= SHOWN {
            break;
        }
        let outcome = simulate(seed, Kept::Tail);
        simulated_ms.fetch_add(u64::try_from(outcome.simulated.as_millis()).unwrap_or(0), Ordering::Relaxed);
        if outcome.fault.is_some() {
            failed.lock().expect("no thread panics").push((seed, outcome));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut failed = failed.into_inner().expect("no thread panics");
    failed.sort_by_key(|(seed, _)| *seed);
    println!("{count} seeds, {} simulated hours, {:?}", simulated_ms.into_inner() / 3_600_000, began.elapsed());
    for (seed, outcome) in failed.iter().take(SHOWN) {
        let fault = outcome.fault.as_ref().expect("it failed");
        println!("seed {seed}, step {}: {}: {}", fault.step, fault.invariant, fault.detail);
    }
    if let Some((seed, outcome)) = failed.first() {
        panic!(
            "{} of {count} seeds failed. The last steps of seed {seed}:\n{}\nreplay it with\n  BASCULE_SIM_SEED={seed} \
             cargo test --test sim -- --nocapture",
            failed.len(),
            outcome.tail
        );
    }
}

#[test]
fn one_seed_has_one_history() {
    for seed in 0..12 {
        let [first, second] = [simulate(seed, Kept::Tail), simulate(seed, Kept::Tail)];
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed}");
    }
}
