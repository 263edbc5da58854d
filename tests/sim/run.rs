//! One simulation: rounds of faults, each followed by a time in which all must settle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bascule::core::steering::SteerDoc;
use tokio::time::{Instant, sleep_until, timeout};

use super::clock;
use super::controller::{Controller, inspect_at_last};
use super::edge::{CHECK_LOOK, Edge};
use super::events::{Deed, Events};
use super::history::{Fault, Kept};
use super::world::{Shared, World};
use super::{quarantine, serving, settling};

/// How a simulation ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) fault: Option<Fault>,
    pub(crate) steps: u64,
    pub(crate) hash: u64,
    pub(crate) simulated: Duration,
    pub(crate) tail: String,
}

/// Longest time until all has settled: a source that is read again after 20 s (and hangs for 10), three
/// pushes in twelve times the last load, which has taken 10 s at most, a hold for flapping of five minutes and then a
/// failback after 30 s.
const SETTLED_AFTER: Duration = Duration::from_mins(7);
/// Nothing is pushed for so long after that.
const QUIET: Duration = Duration::from_secs(15);
/// Commits that may take longer than this hold up plans.
const SLOW_COMMIT_MS: u64 = 100;
/// Longest time that a simulation may take, simulated.
const LIMIT: Duration = Duration::from_hours(2);

/// Runs a seed. One that ends in a panic has failed like any other.
pub(crate) fn simulate(seed: u64, kept: Kept) -> Outcome {
    std::panic::catch_unwind(|| simulate_or_panic(seed, kept)).unwrap_or_else(|panic| {
        let words =
            panic.downcast_ref::<String>().cloned().or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
        let detail = words.unwrap_or_default();
        let fault = Some(Fault { invariant: "nothing panics", detail, step: 0 });
        Outcome { fault, steps: 0, hash: 0, simulated: Duration::ZERO, tail: String::new() }
    })
}

fn simulate_or_panic(seed: u64, kept: Kept) -> Outcome {
    // What bascule logs stands between the steps of a history that is printed.
    let log = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG);
    let _logging = (kept == Kept::Printed).then(|| tracing::subscriber::set_default(log.finish()));
    // Backoff and jitter draw from the thread's generator.
    fastrand::seed(seed);
    let folder = tempfile::Builder::new().prefix("bascule-sim-").tempdir_in(memory()).expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        clock::begin();
        let world = Shared::new(World::new(seed, kept));
        let driver = Driver::new(world.clone(), folder.path().join("state.db"));
        if timeout(LIMIT, driver.run()).await.is_err() {
            world.with(|world| world.broken("a simulation ends", format!("not after {LIMIT:?}")));
        }
        world.with(|world| Outcome {
            fault: world.history.fault().cloned(),
            steps: world.history.steps(),
            hash: world.history.hash(),
            simulated: clock::elapsed(),
            tail: world.history.tail(),
        })
    })
}

/// Where state files are kept: in memory where there is such a place, since thousands of simulations flush millions of
/// commits.
fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

struct Driver {
    world: Shared,
    state: PathBuf,
    events: Events,
    controller: Option<Controller>,
    /// When the controller is started again.
    back_at: Option<Instant>,
    check_at: Instant,
}

impl Driver {
    fn new(world: Shared, state: PathBuf) -> Self {
        let events = world.with(|world| Events::draw(&mut world.rng));
        Self { world, state, events, controller: None, back_at: None, check_at: Instant::now() }
    }

    async fn run(mut self) {
        self.with(Events::push_good);
        self.start().await;
        let rounds = self.world.with(|world| world.rng.u8(1..=2));
        for _ in 0..rounds {
            self.faults().await;
            self.settle().await;
            if self.is_broken() {
                break;
            }
        }
        if let Some(controller) = self.controller.take() {
            controller.crash(&self.world).await;
            inspect_at_last(&self.world, &self.state).await;
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Events, &mut World) -> T) -> T {
        self.world.with(|world| act(&mut self.events, world))
    }

    fn is_broken(&self) -> bool {
        self.world.with(|world| world.history.fault().is_some())
    }

    async fn start(&mut self) {
        self.world.with(|world| {
            world.note("bascule starts");
        });
        self.controller = Some(Controller::start(&self.world, &self.state).await);
    }

    /// A round of faults.
    async fn faults(&mut self) {
        let (length, pace) = self.world.with(|world| (world.rng.u64(10..=60), world.rng.u64(200..=6000)));
        let end = Instant::now() + Duration::from_secs(length);
        let mut next = Instant::now();
        while Instant::now() < end && !self.is_broken() {
            next += Duration::from_millis(self.world.with(|world| world.rng.u64(1..=2 * pace)));
            self.pass_until(next.min(end)).await;
            let deed = self.with(Events::happen);
            self.act(deed).await;
        }
    }

    async fn act(&mut self, deed: Deed) {
        match (deed, &self.controller) {
            (Deed::Wake, Some(controller)) => controller.wake.notify_one(),
            (Deed::Override(doc), Some(controller)) => controller.decide(&self.world, doc),
            (Deed::FailBack(service), Some(controller)) => controller.fail_back(&self.world, service),
            (Deed::Steer(doc), Some(controller)) => controller.steer(&self.world, doc),
            (deed @ (Deed::Crash | Deed::Stop), Some(_)) => {
                let controller = self.controller.take().expect("it runs");
                self.world.with(|world| {
                    world.note(if deed == Deed::Crash { "bascule crashes" } else { "bascule stops" });
                });
                if deed == Deed::Crash {
                    controller.crash(&self.world).await;
                } else {
                    controller.stop(&self.world).await;
                }
                let away = self.world.with(|world| world.rng.u64(1..=15_000));
                self.back_at = Some(Instant::now() + Duration::from_millis(away));
            }
            _ => {}
        }
    }

    /// Lets time pass, with checks by edges, requests of clients, and what ends by itself.
    async fn pass_until(&mut self, end: Instant) {
        while !self.is_broken() {
            let due = [Some(self.check_at), self.back_at, self.events.next_undo()];
            let next = due.into_iter().flatten().min().unwrap_or(end).min(end);
            sleep_until(next).await;
            let now = Instant::now();
            if self.back_at.is_some_and(|at| at <= now) {
                self.back_at = None;
                self.start().await;
            }
            let deed = self.with(Events::undo_due);
            self.act(deed).await;
            if self.check_at <= now {
                self.check_at += CHECK_LOOK;
                self.check();
            }
            if now >= end {
                break;
            }
        }
    }

    fn check(&mut self) {
        let failure = self.controller.as_mut().and_then(Controller::failure);
        let is_running = self.controller.is_some();
        let is_behind = self.controller.as_ref().is_some_and(Controller::is_behind);
        let strays = self.controller.as_ref().and_then(|controller| self.world.with(|world| controller.strays(world)));
        self.world.with(|world| {
            if let Some(detail) = strays {
                world.broken("what an operator pins stays", detail);
            }
            if let Some(failure) = failure {
                world.broken("the loops run", failure);
            }
            // A plan is written before the next is made.
            let is_behind = is_behind && world.commit_ms < SLOW_COMMIT_MS;
            if let Some(time) = world.planning.note_behind(is_behind) {
                world.broken("plans keep up with what is known", format!("the newest is {time:?} behind"));
            }
            let is_looked_after = is_running && world.commit_ms < SLOW_COMMIT_MS;
            if let Some(time) = world.planning.note_ended(is_looked_after) {
                world
                    .broken("an override ends by itself", format!("the newest plan has had an ended one for {time:?}"));
            }
            world.operators.forget_ended();
            for name in super::inventory::EDGES {
                world.on_edge(name, Edge::check);
            }
            serving::look(world);
            if let Some(controller) = &self.controller {
                quarantine::look_at_edges(world, &controller.reports.borrow());
            }
        });
    }

    /// Faults stop; within a bounded time all is as it should be, and stays so without another push.
    async fn settle(&mut self) {
        self.with(Events::heal);
        self.with(Events::push_good);
        let end = Instant::now() + SETTLED_AFTER;
        let mut unsettled = None;
        while Instant::now() < end && !self.is_broken() {
            self.pass_until(Instant::now() + Duration::from_secs(1)).await;
            if let Some(controller) = &self.controller {
                controller.clear_overrides(&self.world);
                if self.world.with(|world| world.operators.is_steering()) {
                    controller.steer(&self.world, SteerDoc::Resume { by: "ana".to_owned() });
                }
            }
            unsettled = match &self.controller {
                Some(controller) => self.world.with(|world| settling::unsettled(world, controller)),
                None => Some("bascule is away".to_owned()),
            };
            if unsettled.is_none() {
                break;
            }
        }
        if let Some(detail) = unsettled {
            self.world.with(|world| world.broken("all settles once faults have stopped", detail));
            return;
        }
        let writes = self.world.with(|world| world.writes());
        self.pass_until(Instant::now() + QUIET).await;
        let again = self.world.with(|world| world.writes()) - writes;
        let controller = self.controller.as_ref();
        let unsettled =
            controller.and_then(|controller| self.world.with(|world| settling::unsettled(world, controller)));
        self.world.with(|world| {
            world.note("all has settled");
            if again > 0 || unsettled.is_some() {
                world.broken("what has settled stays", format!("{again} more writes; {unsettled:?}"));
            }
        });
    }
}
