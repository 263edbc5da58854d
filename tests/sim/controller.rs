//! Bascule itself: the real loops over the real state file, wired as `bascule run` wires them. It can crash.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bascule::controller::{
    Answering, Desk, DeskOrder, EdgeReports, EdgeSettings, FailbackOrder, ORDERS_BOUND, Observer, ObserverSettings,
    OnFault, PlanSnapshot, Pulse, Reconciler, RelayLog, SourceState, SteerOrder, Watcher, WatcherSettings, recall,
    recall_steering,
};
use bascule::core::health::Observed;
use bascule::core::inventory::{Edge, RevisionGuard};
use bascule::core::routing::{InventoryGuard, OverrideDoc, Overrides};
use bascule::core::steering::SteerDoc;
use bascule::edge::ClientError;
use bascule::probe::SAMPLES_BOUND;
use bascule::store::Store;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admin::FakeAdmin;
use super::clock;
use super::inventory::EDGES;
use super::source::{FakeSource, probe};
use super::world::{Shared, World};

/// More than any transition that a simulation sees.
const ALL: u32 = 100_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One run of bascule.
pub(crate) struct Controller {
    tasks: JoinSet<()>,
    store: Store,
    shutdown: CancellationToken,
    pub(crate) wake: Arc<Notify>,
    pub(crate) source: watch::Receiver<SourceState>,
    pub(crate) observed: watch::Receiver<Arc<Observed>>,
    pub(crate) plans: watch::Receiver<Option<PlanSnapshot>>,
    pub(crate) reports: watch::Receiver<EdgeReports>,
    overrides: watch::Receiver<Arc<Overrides>>,
    orders: mpsc::Sender<DeskOrder>,
    failbacks: mpsc::Sender<FailbackOrder>,
    steers: mpsc::Sender<SteerOrder>,
}

impl Controller {
    /// Starts from the state file, and compares that with what was seen before.
    pub(crate) async fn start(world: &Shared, state: &Path) -> Self {
        let mut tasks = JoinSet::new();
        let store = open(world, state, &mut tasks);
        let decided = inspect(world, &store).await;
        let (served, steering) = (recall(&store).await, recall_steering(&store).await);
        if let Some((invariant, detail)) = world.with(|world| world.operators.restarted(&steering)) {
            world.with(|world| world.broken(invariant, detail));
        }
        let (remembered, chosen) = (store.health().await.expect("health"), store.choices().await.expect("choices"));
        // Tokio wakes those that wait for one channel in any order; here each has one of its own.
        let first = SourceState { served, steering, ..SourceState::default() };
        let (source_tx, source) = watch::channel(first.clone());
        let (source_a, observers_source) = watch::channel(first.clone());
        let (source_b, reconcilers_source) = watch::channel(first);
        let (observed_tx, observed) = watch::channel(Arc::<Observed>::default());
        let (observed_a, reconcilers_observed) = watch::channel(Arc::<Observed>::default());
        let (plans_tx, plans) = watch::channel(None);
        let (reports_tx, reports) = watch::channel(EdgeReports::new());
        let (targets, targets_rx) = watch::channel(Arc::default());
        let (overrides, overrides_rx) = watch::channel(Arc::new(decided));
        let (orders, orders_rx) = mpsc::channel(ORDERS_BOUND);
        let (failbacks, failbacks_rx) = mpsc::channel(ORDERS_BOUND);
        let (steers, steers_rx) = mpsc::channel(ORDERS_BOUND);
        let (samples_tx, samples) = mpsc::channel(SAMPLES_BOUND);
        let (pulse, heard, wake) = (Arc::<Pulse>::default(), Arc::<RelayLog>::default(), Arc::<Notify>::default());
        let shutdown = CancellationToken::new();
        let watcher = Watcher {
            settings: WatcherSettings {
                poll: Duration::from_secs(10),
                retry_max: Duration::from_secs(20),
                guard: Some(RevisionGuard::default()),
                on_fault: OnFault::Quarantine,
            },
            clock: clock::now,
            source: FakeSource(world.clone()),
            folder: "inventory".to_owned(),
            store: store.clone(),
            wake: Arc::clone(&wake),
            orders: steers_rx,
            state: source_tx,
        };
        let observer = Observer {
            settings: ObserverSettings::default(),
            clock: clock::now,
            store: store.clone(),
            source: observers_source,
            samples,
            targets,
            observed: observed_tx,
            pulse: Arc::clone(&pulse),
        };
        let reconciler = Reconciler {
            connect: connector(world.clone()),
            edge_settings: EdgeSettings::default(),
            clock: clock::now,
            store: store.clone(),
            source: reconcilers_source,
            observed: reconcilers_observed,
            overrides: overrides_rx.clone(),
            failbacks: failbacks_rx,
            remembered: chosen,
            guard: Some(InventoryGuard::default()),
            looks: Arc::default(),
            heard: Arc::clone(&heard),
            plans: plans_tx,
            reports: reports_tx,
        };
        let desk = Desk {
            clock: clock::now,
            store: store.clone(),
            guard: Some(InventoryGuard::default()),
            source: source.clone(),
            observed: observed.clone(),
            plans: plans.clone(),
            orders: orders_rx,
            overrides,
        };
        let loops: Vec<Task> = vec![
            Box::pin(desk.run(shutdown.clone())),
            Box::pin(observer.run(remembered, shutdown.clone())),
            Box::pin(reconciler.run(shutdown.clone())),
            Box::pin(watcher.run(shutdown.clone())),
            Box::pin(probe(world.clone(), targets_rx, samples_tx)),
            Box::pin(forward(world.clone(), source.clone(), [source_a, source_b])),
            Box::pin(look_at_observed(world.clone(), observed.clone(), observed_a)),
            Box::pin(look_at_plans(world.clone(), plans.clone())),
        ];
        world.with(|world| world.answering = Some(Answering { plans: plans.clone(), pulse, heard }));
        spawn(world, &mut tasks, loops);
        let overrides = overrides_rx;
        Self { tasks, store, shutdown, wake, source, observed, plans, reports, overrides, orders, failbacks, steers }
    }

    /// An operator decides; what is answered holds from then on, crash or not.
    pub(crate) fn decide(&self, world: &Shared, doc: OverrideDoc) {
        let (reply, answer) = oneshot::channel();
        if self.orders.try_send(DeskOrder::Set(doc, reply)).is_ok() {
            let (world, order) = (world.clone(), world.with(|world| world.operators.ordered()));
            tokio::spawn(async move {
                if let Ok(Ok(set)) = answer.await {
                    world.with(|world| {
                        world.note(&format!("override: {} {}", set.decided.target, set.decided.action));
                        world.operators.answered(order, set.decided);
                    });
                }
            });
        }
    }

    /// Operators take back all that they have decided.
    pub(crate) fn clear_overrides(&self, world: &Shared) {
        for decided in self.overrides.borrow().iter() {
            let (reply, _) = oneshot::channel();
            let target = decided.target.to_string();
            world.with(|world| {
                world.operators.cleared(&decided.target);
                world.planning.cleared_at = Some(Instant::now());
            });
            let _ = self.orders.try_send(DeskOrder::Clear { target, by: "ana".to_owned(), reply });
        }
    }

    /// An operator lets the traffic of a service return.
    pub(crate) fn fail_back(&self, world: &Shared, service: String) {
        let (reply, answer) = oneshot::channel();
        let order = FailbackOrder { service: service.clone(), by: "ana".to_owned(), reply };
        world.with(|world| {
            world.planning.returning.insert(service.clone(), Instant::now());
        });
        if self.failbacks.try_send(order).is_ok() {
            let world = world.clone();
            tokio::spawn(async move {
                let is_approved = matches!(answer.await, Ok(Ok(_)));
                world.with(|world| {
                    world.note(&format!("failback of {service}: {is_approved}"));
                    if !is_approved {
                        world.planning.returning.remove(&service);
                    }
                });
            });
        }
    }

    /// An operator steers; what is answered holds from then on, crash or not.
    pub(crate) fn steer(&self, world: &Shared, doc: SteerDoc) {
        if !world.with(|world| world.operators.steers()) {
            return;
        }
        let (reply, answer) = oneshot::channel();
        let (world, source) = (world.clone(), self.source.clone());
        if self.steers.try_send(SteerOrder { doc, reply }).is_err() {
            world.with(|world| world.operators.steered(None));
            return;
        }
        tokio::spawn(async move {
            // Where bascule ends before it answers, what is in the state file counts.
            let Ok(answer) = answer.await else { return };
            world.with(|world| {
                let steered = answer.as_ref().map(|steered| steered.step.words());
                world.note(&format!("steering: {}", steered.unwrap_or_else(|refusal| refusal.message.clone())));
                let steering = answer.is_ok().then(|| source.borrow().steering.clone());
                world.operators.steered(steering);
            });
        });
    }

    /// What is served that must not be.
    pub(crate) fn strays(&self, world: &World) -> Option<String> {
        let source = self.source.borrow();
        world.operators.strays(source.served.as_ref().map(|served| &served.info.id))
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) async fn crash(self, world: &Shared) {
        left(world);
        let Self { mut tasks, store, .. } = self;
        tasks.shutdown().await;
        drop(store);
    }

    /// Ends it as a signal does.
    pub(crate) async fn stop(self, world: &Shared) {
        left(world);
        let Self { mut tasks, store, shutdown, source, observed, plans, .. } = self;
        drop((source, observed, plans));
        shutdown.cancel();
        // The loops have deadlines of their own; what waits for an edge that hangs is not waited for here.
        let ended = async { while tasks.join_next().await.is_some() && tasks.len() > 1 {} };
        let _ = tokio::time::timeout(Duration::from_secs(20), ended).await;
        store.close().await;
        tasks.shutdown().await;
    }

    /// True while the newest plan is not made of the newest that is desired and observed.
    pub(crate) fn is_behind(&self) -> bool {
        let served = self.source.borrow().served.as_ref().map(|served| served.info.id.clone());
        let plan =
            self.plans.borrow().as_ref().map(|snapshot| (snapshot.plan.revision.clone(), snapshot.plan.generation));
        let newest = served.map(|revision| (revision, self.observed.borrow().generation));
        newest != plan
    }

    /// Lets a task that panicked be seen; none ends while bascule runs.
    pub(crate) fn failure(&mut self) -> Option<String> {
        let ended = self.tasks.try_join_next()?;
        Some(ended.map_or_else(|error| error.to_string(), |()| "a loop ended by itself".to_owned()))
    }
}

/// Compares the state file with what was seen, once bascule has left for good.
pub(crate) async fn inspect_at_last(world: &Shared, state: &Path) {
    let mut tasks = JoinSet::new();
    let store = open(world, state, &mut tasks);
    inspect(world, &store).await;
    store.close().await;
    tasks.shutdown().await;
}

/// Opens the state file. Its commits take as long as the world says.
fn open(world: &Shared, state: &Path, tasks: &mut JoinSet<()>) -> Store {
    let delay = world.clone();
    let delay = Box::new(move || delay.with(|world| Duration::from_millis(world.rng.u64(0..=world.commit_ms))));
    let (store, work) = Store::open_here(state, delay).expect("the state file opens again");
    tasks.spawn(work);
    store
}

/// Bascule is away from now on.
fn left(world: &Shared) {
    world.with(|world| {
        world.answering = None;
        world.observing.crashed();
        world.planning.stopped();
        world.damping.stopped();
    });
}

/// Compares what the state file knows with what was seen and answered before. Gives what operators have decided.
async fn inspect(world: &Shared, store: &Store) -> Overrides {
    let kept = store.transitions(None, ALL).await.expect("transitions");
    let decided: Overrides = store.overrides().await.expect("overrides").into_iter().collect();
    world.with(|world| {
        world.started_at = Instant::now();
        world.planning.restarted();
        world.damping.restarted();
        for missing in world.observing.missing(&kept) {
            world.broken("no transition is lost", format!("the state file does not know {missing}"));
        }
        for (invariant, detail) in world.operators.look(&decided) {
            world.broken(invariant, detail);
        }
    });
    decided
}

/// Begins the loops, in an order that the seed decides.
fn spawn(world: &Shared, tasks: &mut JoinSet<()>, mut loops: Vec<Task>) {
    world.with(|world| world.rng.shuffle(&mut loops));
    for task in loops {
        tasks.spawn(task);
    }
}

fn connector(world: Shared) -> impl Fn(&Edge) -> Result<FakeAdmin, ClientError> {
    move |edge| {
        let name = EDGES.iter().find(|name| **name == edge.name.as_str()).expect("an edge of the simulation");
        world.with(|world| {
            world.trouble(name);
            world.edge(name).refused = None;
        });
        Ok(FakeAdmin { world: world.clone(), edge: name, address: edge.admin.clone() })
    }
}

/// Hands what one channel has to others, in an order that the seed decides.
async fn forward(world: Shared, mut from: watch::Receiver<SourceState>, mut to: [watch::Sender<SourceState>; 2]) {
    from.mark_changed();
    while from.changed().await.is_ok() {
        let newest = from.borrow_and_update().clone();
        world.with(|world| {
            for (invariant, detail) in world.quarantine.look(&newest) {
                world.broken(invariant, detail);
            }
            world.rng.shuffle(&mut to);
        });
        for channel in &to {
            channel.send_replace(newest.clone());
        }
    }
}

async fn look_at_observed(
    world: Shared,
    mut observed: watch::Receiver<Arc<Observed>>,
    to: watch::Sender<Arc<Observed>>,
) {
    while observed.changed().await.is_ok() {
        let observed = Arc::clone(&observed.borrow_and_update());
        to.send_replace(Arc::clone(&observed));
        world.with(|world| {
            let faults = world.observing.look(&observed, &world.truth);
            for (invariant, detail) in faults.into_iter().chain(world.damping.look(&observed)) {
                world.broken(invariant, detail);
            }
        });
    }
}

async fn look_at_plans(world: Shared, mut plans: watch::Receiver<Option<PlanSnapshot>>) {
    while plans.changed().await.is_ok() {
        let Some(snapshot) = plans.borrow_and_update().clone() else { continue };
        world.with(|world| {
            for change in &snapshot.plan.changes {
                world.note(&format!("planned: {change}"));
            }
            let faults = world.planning.look(&snapshot, &world.observing, &world.damping);
            for (invariant, detail) in faults {
                world.broken(invariant, detail);
            }
        });
    }
}
