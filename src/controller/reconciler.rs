use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::clock_watch::ClockWatch;
use super::desk::{approve, not_served_yet};
use super::edge_worker::EdgeWorker;
use super::{Clock, EdgeReports, EdgeSettings, FailbackOrder, PlanSnapshot, RelayLog, SourceState, chain};
use crate::core::health::Observed;
use crate::core::inventory::{Desired, Edge};
use crate::core::model::{EdgeName, Generation, Revision, ServiceName, Timestamp};
use crate::core::routing::{Choice, Inputs, InventoryGuard, Overrides, Plan, plan};
use crate::edge::{Admin, ClientError};
use crate::store::Store;

/// Changes named in the log one by one; past it their number says enough.
const CHANGES_LOGGED: usize = 20;
/// Time in which the observer takes its moments along when the wall clock is set. It looks each second, but for while it
/// writes verdicts to a slow disk; until then it has no news either.
const CLOCK_FOLLOWED: Duration = Duration::from_secs(10);
/// Longest sleep before the wall clock is looked at again.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// Plans whenever desired or observed state changes, and keeps a worker for each edge.
pub struct Reconciler<C> {
    /// Makes the client of an edge's admin API.
    pub connect: C,
    /// How edges are driven.
    pub edge_settings: EdgeSettings,
    /// The wall clock.
    pub clock: Clock,
    /// Where what is served is kept.
    pub store: Store,
    /// What is desired.
    pub source: watch::Receiver<SourceState>,
    /// What is observed.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// What operators decided.
    pub overrides: watch::Receiver<Arc<Overrides>>,
    /// Services whose traffic may return, by operators' words.
    pub failbacks: mpsc::Receiver<FailbackOrder>,
    /// What plans before this run chose.
    pub remembered: BTreeMap<ServiceName, Choice>,
    /// How much observation may take out of the whole inventory at once.
    pub guard: Option<InventoryGuard>,
    /// Says that every edge is to be looked at now.
    pub looks: Arc<Notify>,
    /// When each edge's relay last asked.
    pub heard: Arc<RelayLog>,
    /// The newest plan.
    pub plans: watch::Sender<Option<PlanSnapshot>>,
    /// How each edge stands.
    pub reports: watch::Sender<EdgeReports>,
}

impl<C, A> Reconciler<C>
where
    C: Fn(&Edge) -> Result<A, ClientError>,
    A: Admin + Send + 'static,
{
    /// Runs until shutdown, and then until every edge worker has ended its pass.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut workers = Workers::default();
        let mut planned: Option<Planned> = None;
        let mut again_at: Option<Timestamp> = None;
        let mut watch = ClockWatch::new((self.clock)());
        loop {
            if watch.set_by((self.clock)()).is_some() {
                // By the moments of before, hold times would be over, or begin anew.
                self.observed.mark_unchanged();
                let _ = timeout(CLOCK_FOLLOWED, self.observed.changed()).await;
            }
            let newest = self.newest();
            // Until the observer follows a new revision nothing is planned, however long it is due: no time is waited for.
            let is_planning = newest.is_some();
            if let Some(newest) = newest {
                let is_due = again_at.is_some_and(|at| at <= (self.clock)());
                let input = newest.identity();
                if is_due || planned.as_ref() != Some(&input) {
                    again_at = self.activate(&newest, None, &workers).await;
                    workers.follow(&self, &newest.desired, &shutdown);
                    if planned.as_ref().is_none_or(|before| before.revision != input.revision) {
                        self.forget_edges(&newest.desired).await;
                    }
                    planned = Some(input);
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = self.source.changed() => if changed.is_err() { break },
                changed = self.observed.changed() => if changed.is_err() { break },
                changed = self.overrides.changed() => if changed.is_err() { break },
                () = until(again_at, self.clock), if is_planning && again_at.is_some() => {}
                () = self.looks.notified() => workers.look(),
                Some(order) = self.failbacks.recv() => again_at = self.fail_back(order, &workers).await.or(again_at),
                ended = workers.ended() => {
                    // Workers end at shutdown too, and may win this race.
                    if shutdown.is_cancelled() { break }
                    match ended {
                        Ended::Left(name) => {
                            self.reports.send_modify(|reports| drop(reports.remove(&name)));
                            info!(edge = %name, "edge left");
                            if let Some(newest) = self.newest() {
                                workers.follow(&self, &newest.desired, &shutdown);
                            }
                        }
                        Ended::ByItself(name) => {
                            error!(edge = ?name, "an edge worker ended by itself");
                            break;
                        }
                    }
                }
            }
        }
        workers.stop_all().await;
    }

    /// The newest snapshots; none before the first revision, and before the observer follows it: by the verdicts of the
    /// revision before, a backend that has moved would be taken for what it was, and after a restart what is down for up.
    fn newest(&mut self) -> Option<Newest> {
        let desired = self.source.borrow_and_update().served.as_ref().map(|served| Arc::clone(&served.desired));
        let observed = Arc::clone(&self.observed.borrow_and_update());
        let overrides = Arc::clone(&self.overrides.borrow_and_update());
        let desired = desired.filter(|desired| observed.revision.as_ref() == Some(&desired.revision))?;
        Some(Newest { desired, observed, overrides })
    }

    /// Carries out an operator's word, as an activation of its own: the next one knows of nothing else than what was
    /// planned here. Tells when to plan again, where it planned.
    async fn fail_back(&mut self, order: FailbackOrder, workers: &Workers) -> Option<Timestamp> {
        let Some(newest) = self.newest() else {
            // Who asked may be gone.
            let _ = order.reply.send(Err(not_served_yet()));
            return None;
        };
        let previous = self.previous();
        let inputs = self.inputs(&newest, previous.as_deref());
        let approved = approve(&inputs, &self.store, &order).await;
        let again_at = match &approved {
            Ok(returned) => self.activate(&newest, Some(&returned.service), workers).await,
            Err(_) => None,
        };
        let _ = order.reply.send(approved);
        again_at
    }

    fn previous(&self) -> Option<Arc<Plan>> {
        self.plans.borrow().as_ref().map(|snapshot| Arc::clone(&snapshot.plan))
    }

    fn inputs<'a>(&'a self, newest: &'a Newest, previous: Option<&'a Plan>) -> Inputs<'a> {
        Inputs {
            desired: &newest.desired,
            observed: &newest.observed,
            overrides: &newest.overrides,
            previous: previous.map(|plan| &plan.effective),
            remembered: &self.remembered,
            returning: None,
            guard: self.guard,
            now: (self.clock)(),
        }
    }

    async fn forget_edges(&self, desired: &Desired) {
        let declared = desired.edges.keys().cloned().collect();
        if let Err(error) = self.store.retain_edges(declared, (self.clock)()).await {
            warn!(error = %chain(&error), "the past of removed edges not taken out of the state file");
        }
    }

    /// One activation: the newest snapshots in, a plan out. Tells when to plan again though nothing was heard.
    async fn activate(&self, newest: &Newest, returning: Option<&ServiceName>, workers: &Workers) -> Option<Timestamp> {
        let previous = self.previous();
        let inputs = Inputs { returning, ..self.inputs(newest, previous.as_deref()) };
        let plan = Arc::new(plan(&inputs));
        let next_at = plan.next_at;
        for change in plan.changes.iter().take(CHANGES_LOGGED) {
            info!(%change, "planned");
        }
        if plan.changes.len() > CHANGES_LOGGED {
            info!(more = plan.changes.len() - CHANGES_LOGGED, "planned more changes");
        }
        let held_before = previous.as_ref().map_or_else(Vec::new, |plan| plan.holds.clone());
        for hold in plan.holds.iter().filter(|hold| !held_before.contains(hold)) {
            warn!(%hold, "held");
        }
        debug!(revision = %plan.revision, generation = %plan.generation, changes = plan.changes.len(), "activation ended");
        let is_new = !plan.changes.is_empty() || plan.holds != held_before;
        let desired = &newest.desired;
        let is_first_written = self.moves_alone(previous.as_deref(), &plan);
        if is_first_written {
            self.record(desired, &plan).await;
        }
        let snapshot = PlanSnapshot { plan: Arc::clone(&plan), desired: Arc::clone(desired) };
        self.plans.send_replace(Some(snapshot.clone()));
        workers.tell(&snapshot);
        // Otherwise edges first: the record of what is served does not delay serving it.
        if is_new && !is_first_written {
            self.record(desired, &plan).await;
        }
        next_at
    }

    /// True where a service of which one backend serves at a time gets another one. Which it is must be in the state file
    /// before an edge hears of it: a start after a crash in between would choose anew, and might leave it without `confirm`,
    /// for one that was left.
    fn moves_alone(&self, previous: Option<&Plan>, plan: &Plan) -> bool {
        plan.effective.services.iter().any(|(name, service)| {
            let before = previous.and_then(|previous| previous.effective.services.get(name));
            let chosen = before.map_or_else(|| self.remembered.get(name), |before| before.choice.as_ref());
            matches!(service.choice, Some(Choice::Backend(_))) && service.choice.as_ref() != chosen
        })
    }

    async fn record(&self, desired: &Arc<Desired>, plan: &Arc<Plan>) {
        if let Err(error) = self.store.record_served(Arc::clone(desired), Arc::clone(plan)).await {
            warn!(error = %chain(&error), "what is served not written to the state file");
        }
    }
}

/// What an activation takes.
#[derive(Debug)]
struct Newest {
    desired: Arc<Desired>,
    observed: Arc<Observed>,
    overrides: Arc<Overrides>,
}

impl Newest {
    fn identity(&self) -> Planned {
        let Self { desired, observed, overrides } = self;
        let (revision, generation) = (desired.revision.clone(), observed.generation);
        Planned { revision, generation, overrides: Arc::clone(overrides) }
    }
}

/// What the newest plan was made of: the same again needs no other plan, but for time.
#[derive(Debug, PartialEq)]
struct Planned {
    revision: Revision,
    generation: Generation,
    overrides: Arc<Overrides>,
}

/// Waits until a moment, or for a while: the wall clock may be set meanwhile, so it is looked at again.
pub(super) async fn until(at: Option<Timestamp>, clock: Clock) {
    let Some(at) = at else { return };
    tokio::time::sleep(at.since(clock()).min(CLOCK_LOOK)).await;
}

/// The running edge workers.
#[derive(Debug, Default)]
struct Workers {
    running: BTreeMap<EdgeName, Running>,
    /// Edges whose workers were told to end, and may still be in a pass. Nobody waits for them here: one whose admin API
    /// hangs takes a quarter of a minute.
    leaving: BTreeMap<EdgeName, Arc<Edge>>,
    tasks: JoinSet<EdgeName>,
}

/// A worker that has ended.
#[derive(Debug)]
enum Ended {
    /// As it was told to.
    Left(EdgeName),
    /// Though nobody told it to; none where it panicked.
    ByItself(Option<EdgeName>),
}

/// A running edge worker. It has a channel of its own: of one that they shared, tokio would wake them in any order, and no
/// simulation would have one history.
#[derive(Debug)]
struct Running {
    edge: Arc<Edge>,
    plans: watch::Sender<Option<PlanSnapshot>>,
    look: Arc<Notify>,
    stop: CancellationToken,
}

impl Workers {
    /// Gives every worker the newest plan.
    fn tell(&self, snapshot: &PlanSnapshot) {
        for worker in self.running.values() {
            worker.plans.send_replace(Some(snapshot.clone()));
        }
    }

    /// Has every worker look at its edge, without waiting for its time.
    fn look(&self) {
        for worker in self.running.values() {
            worker.look.notify_one();
        }
    }

    /// Starts workers for new edges, ends those of edges that are gone, and replaces those whose settings changed.
    fn follow<C, A>(&mut self, reconciler: &Reconciler<C>, desired: &Desired, shutdown: &CancellationToken)
    where
        C: Fn(&Edge) -> Result<A, ClientError>,
        A: Admin + Send + 'static,
    {
        let is_current = |name: &EdgeName, edge: &Arc<Edge>| desired.edges.get(name) == Some(edge);
        let gone: Vec<_> = self
            .running
            .iter()
            .filter(|(name, worker)| !is_current(name, &worker.edge))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(worker) = self.running.remove(&name) {
                worker.stop.cancel();
                self.leaving.insert(name, worker.edge);
            }
        }
        for (name, edge) in &desired.edges {
            // One writer for each edge: a new one begins when the old one has ended.
            let is_taken = self.leaving.iter().any(|(leaving, old)| leaving == name || old.admin == edge.admin);
            if is_taken || self.running.contains_key(name) {
                continue;
            }
            let admin = match (reconciler.connect)(edge) {
                Ok(admin) => admin,
                Err(error) => {
                    error!(edge = %name, error = %chain(&error), "no client for the edge");
                    continue;
                }
            };
            let plans = watch::Sender::new(reconciler.plans.borrow().clone());
            let look = Arc::<Notify>::default();
            let worker = EdgeWorker {
                edge: Arc::clone(edge),
                admin,
                settings: reconciler.edge_settings,
                clock: reconciler.clock,
                store: reconciler.store.clone(),
                plans: plans.subscribe(),
                reports: reconciler.reports.clone(),
                heard: Arc::clone(&reconciler.heard),
                look: Arc::clone(&look),
            };
            let stop = shutdown.child_token();
            let running = Running { edge: Arc::clone(edge), plans, look, stop: stop.clone() };
            self.running.insert(name.clone(), running);
            let name = name.clone();
            self.tasks.spawn(async move {
                worker.run(stop).await;
                name
            });
        }
    }

    /// The next worker that ends. Never returns while all stay.
    async fn ended(&mut self) -> Ended {
        match self.tasks.join_next().await {
            Some(Ok(name)) if self.leaving.remove(&name).is_some() => Ended::Left(name),
            Some(Ok(name)) => Ended::ByItself(Some(name)),
            Some(Err(_)) => Ended::ByItself(None),
            None => std::future::pending().await,
        }
    }

    async fn stop_all(&mut self) {
        for worker in self.running.values() {
            worker.stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
