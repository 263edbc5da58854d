//! Deterministic simulation: whole lives of bascule, each drawn from a seed. `docs/simulation.md` says how to work with it.
//!
//! # What is real, and what is not
//!
//! Real is all of the core and all loops (watcher, observer, desk, reconciler, edge workers), wired in `controller.rs` as
//! `src/app.rs` wires them; `apply`, with which workers push; the answering side of the relay; and the state file, a real
//! SQLite database that survives crashes of the controller.
//!
//! Faked is what lies behind the traits of the adapters, and time: `source.rs` has the repository (`git::Revisions`) and
//! the prober's results, `admin.rs` the admin API (`edge::Admin`) of a Caddy that `edge.rs`, `config.rs` and `request.rs`
//! play: it reads the rendered JSON, checks as Caddy counts, forgets at every load what it knew, and takes requests through
//! the chain of links. Time is tokio's paused clock, and the wall clock of `clock.rs` goes with it until it is set.
//! What these fakes believe of git, of Caddy and of sockets is held against the real ones by `tests/it` and `tests/lab`.
//!
//! # What happens in a life
//!
//! `run.rs`: bascule starts, one or two rounds of faults pass (`events.rs` has the kinds; each seed has a temper of its own,
//! in which most kinds are left out), and after each round all faults stop and everything has to settle. A history is a pure
//! function of its seed, which `one_seed_has_one_history` holds.
//!
//! # Invariants
//!
//! | invariant | looked at | in |
//! |---|---|---|
//! | nothing is served that is not declared | at every load of an edge | `pushing.rs` |
//! | last good wins | at every plan and load | `planning.rs`, `pushing.rs` |
//! | a service at fault stays as it was; none is held back by another one's fault | whenever another revision is served | `quarantine.rs` |
//! | observation alone never empties a pool | at every plan | `planning.rs` |
//! | `single` has one backend, and changes only after `confirm` | at every plan and load | `planning.rs`, `pushing.rs` |
//! | failback waits for its time, crashes or not | at every plan | `planning.rs` |
//! | plans keep up with what is known; an override ends by itself | twice a second | `planning.rs` |
//! | a verdict is earned by samples in a row; an isolated prober takes nobody down | at every snapshot | `observing.rs` |
//! | a hold is earned by flapping, bounded, kept over crashes, and heeded by plans | at every snapshot and plan | `damping.rs`, `planning.rs` |
//! | no transition is lost; no answered order is lost; no step is lost | at every start, and at the end | `observing.rs`, `operators.rs` |
//! | what an operator pins stays | twice a second | `operators.rs` |
//! | pushes keep within their rate; what an edge refuses is not sent again | at every write | `pushing.rs` |
//! | no push brings back what is known to be down; no configuration is one that Caddy stumbles over | at every load | `pushing.rs`, `admin.rs` |
//! | a request finds a backend that answers; what may have been acted on is not sent again | twice a second, at every edge and service, GET and POST | `serving.rs` |
//! | no loop ends or panics | all the time | `run.rs` |
//! | all settles once faults have stopped, and stays so without another push | after every round | `settling.rs` |
//!
//! # Seeds
//!
//! | variable | says |
//! |---|---|
//! | `BASCULE_SIM_SEED` | replay this one, with its steps and bascule's log printed: what a failure tells you to do |
//! | `BASCULE_SIM_SEEDS` | how many; 300 by itself |
//! | `BASCULE_SIM_FIRST` | the first; 0 by itself |
//! | `BASCULE_SIM_FAILURES` | failed seeds after which no more are tried; 20 by itself |
//!
//! # Planted bugs
//!
//! A simulation that finds nothing may look at nothing. Each of these was planted by itself, and found; `planted/` has them
//! as patches, and `planted/run` plants them again. The number is that of the seeds it took.
//!
//! | bug | seeds | broken first |
//! |---|---|---|
//! | drained-backend-kept | 5 | nothing is served that is not declared |
//! | emptied-inventory-taken | 8 | last good wins |
//! | failback-at-once | 4 | failback waits for its time |
//! | fault-holds-all | 3 | no service is held back by another one's fault |
//! | first-flip-held | 12 | a hold for flapping is bounded |
//! | hold-empties-the-pool | 281 | observation alone never empties a pool |
//! | hold-forgotten-on-restart | 400 | a hold for flapping goes on |
//! | isolation-believed | 5 | an isolated prober takes nobody down |
//! | kept-service-left-out | 4 | a service at fault stays as it was |
//! | load-revives-the-dead | 28 | no push brings back what is known to be down |
//! | old-reach-believed | 15 | an isolated prober takes nobody down |
//! | override-never-ends | 12 | an override ends by itself |
//! | override-not-written | 12 | no answered order is lost |
//! | pin-ignored | 2 | what an operator pins stays |
//! | push-rate-unheeded | 5 | pushes keep within their rate |
//! | refusal-not-written | 77 | no service is held back by another one's fault |
//! | refused-sent-again | 113 | what an edge refuses is not sent again |
//! | single-unconfirmed | 6 | `single` changes only after `confirm` |
//! | step-not-written | 6 | no step is lost |
//! | two-singles-during-confirm | 5 | `single` has one backend |
//! | verdict-shown-before-written | 268 | no transition is lost |
//! | waiting-tier-rendered | 233 | all settles once faults have stopped |

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
mod planted;
mod pushing;
mod quarantine;
mod request;
mod run;
mod serving;
mod settling;
mod source;
mod truth;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use self::history::Kept;
use self::run::{Outcome, simulate};

/// Failed seeds after which no more are tried.
const FAILURES: u64 = 20;
/// No seed takes the processors for so long; an ordinary one takes a fifth of a second. What a busy machine, or one that
/// stopped this process, does not give, does not count.
const HANGS_AFTER: Duration = Duration::from_mins(2);
/// Seeds of an ordinary run.
const SEEDS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {text}")))
}

#[test]
fn every_seed_holds_the_invariants() {
    match number("BASCULE_SIM_SEED") {
        Some(seed) => replay(seed),
        None => run_many(),
    }
}

fn replay(seed: u64) {
    let outcome = simulate(seed, Kept::Printed);
    println!("{} steps, {:?} simulated, history {:016x}", outcome.steps, outcome.simulated, outcome.hash);
    assert!(outcome.fault.is_none(), "seed {seed}: {:?}", outcome.fault);
}

fn run_many() {
    let (first, count) = (number("BASCULE_SIM_FIRST").unwrap_or(0), number("BASCULE_SIM_SEEDS").unwrap_or(SEEDS));
    let failures_max = number("BASCULE_SIM_FAILURES").unwrap_or(FAILURES).max(1);
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let (tried, simulated_ms) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Vec<(u64, Outcome)>> = Mutex::default();
    let running: Mutex<BTreeMap<u64, Duration>> = Mutex::default();
    let is_enough = || failed.lock().expect("no thread panics").len() as u64 >= failures_max;
    let work = |_ends: mpsc::Sender<()>| loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= first + count || is_enough() {
            break;
        }
        running.lock().expect("no thread panics").insert(seed, worked());
        let outcome = simulate(seed, Kept::Tail);
        running.lock().expect("no thread panics").remove(&seed);
        tried.fetch_add(1, Ordering::Relaxed);
        simulated_ms.fetch_add(u64::try_from(outcome.simulated.as_millis()).unwrap_or(0), Ordering::Relaxed);
        if outcome.fault.is_some() {
            failed.lock().expect("no thread panics").push((seed, outcome));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let (ends, ended) = mpsc::channel();
        for _ in 0..threads {
            let ends = ends.clone();
            scope.spawn(|| work(ends));
        }
        drop(ends);
        while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            end_where_one_hangs(&running.lock().expect("no thread panics"));
        }
    });
    let mut failed = failed.into_inner().expect("no thread panics");
    failed.sort_by_key(|(seed, _)| *seed);
    let (tried, hours) = (tried.into_inner(), simulated_ms.into_inner() / 3_600_000);
    println!("{tried} seeds, {hours} simulated hours, {:?}", began.elapsed());
    for (seed, outcome) in &failed {
        let fault = outcome.fault.as_ref().expect("it failed");
        println!("seed {seed}, step {}: {}: {}", fault.step, fault.invariant, fault.detail);
    }
    if let Some((seed, outcome)) = failed.first() {
        panic!(
            "{} of {tried} seeds failed. The last steps of seed {seed}:\n{}\n{}",
            failed.len(),
            outcome.tail,
            replay_with(*seed)
        );
    }
}

/// A loop that goes round and round lets no time pass, and no deadline of the simulation ever comes. Nothing can end its
/// thread but the end of the process.
fn end_where_one_hangs(running: &BTreeMap<u64, Duration>) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let hangs_after = HANGS_AFTER.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
    let worked = worked();
    if let Some((seed, since)) = running.iter().find(|(_, since)| worked.saturating_sub(**since) > hangs_after) {
        let time = worked.saturating_sub(*since);
        eprintln!("seed {seed}: {time:?} of work since it began: time stands still. {}", replay_with(*seed));
        std::process::exit(101);
    }
}

/// What this process has taken of the processors, all its threads together.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn replay_with(seed: u64) -> String {
    format!("Replay it with\n  BASCULE_SIM_SEED={seed} cargo test --test sim every_seed -- --nocapture")
}

#[test]
fn one_seed_has_one_history() {
    for seed in 0..12 {
        let [first, second] = [simulate(seed, Kept::Tail), simulate(seed, Kept::Tail)];
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed}");
    }
}
