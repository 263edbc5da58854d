use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::desk::{approve, not_served_yet};
use super::edge_worker::EdgeWorker;
use super::{Clock, EdgeReports, EdgeSettings, FailbackOrder, PlanSnapshot, RelayLog, SourceState, chain};
use crate::core::health::Observed;
use crate::core::inventory::{Desired, Edge};
use crate::core::model::{EdgeName, Generation, Revision, ServiceName, Timestamp};
use crate::core::routing::{Choice, Inputs, Overrides, Plan, plan};
use crate::edge::{AdminSettings, CaddyAdmin};
use crate::store::Store;

/// Changes named in the log one by one; past it their number says enough.
const CHANGES_LOGGED: usize = 20;
/// Longest sleep before the wall clock is looked at again.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// Plans whenever desired or observed state changes, and keeps a worker for each edge.
#[derive(Debug)]
pub struct Reconciler {
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
    /// When each edge's relay last asked.
    pub heard: Arc<RelayLog>,
    /// The newest plan.
    pub plans: watch::Sender<Option<PlanSnapshot>>,
    /// How each edge stands.
    pub reports: watch::Sender<EdgeReports>,
}

impl Reconciler {
    /// Runs until shutdown, and then until every edge worker has ended its pass.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut workers = Workers::default();
        let mut planned: Option<Planned> = None;
        let mut again_at: Option<Timestamp> = None;
        loop {
            let newest = self.newest();
            if let Some(newest) = newest {
                let is_due = again_at.is_some_and(|at| at <= (self.clock)());
                let input = newest.identity();
                if is_due || planned.as_ref() != Some(&input) {
                    again_at = self.activate(&newest, None).await;
                    workers.follow(&self, &newest.desired, &shutdown).await;
                    if planned.as_ref().is_none_or(|before| before.revision != input.revision) {
                        self.forget_edges(&newest.desired).await;
                    }
                    planned = Some(input);
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = self.source.changed() => if changed.is_err() { break },
                changed = self.observed.changed() => if changed.is_err() { break },
                changed = self.overrides.changed() => if changed.is_err() { break },
                () = until(again_at, self.clock), if again_at.is_some() => {}
                Some(order) = self.failbacks.recv() => again_at = self.fail_back(order).await.or(again_at),
                name = workers.ended() => {
                    // Workers end at shutdown too, and may win this race.
                    if shutdown.is_cancelled() { break }
                    error!(edge = ?name, "an edge worker ended by itself");
                    break;
                }
            }
        }
        workers.stop_all().await;
    }

    /// The newest snapshots; none before the first revision.
    fn newest(&mut self) -> Option<Newest> {
        let desired = self.source.borrow_and_update().served.as_ref().map(|served| Arc::clone(&served.desired));
        let observed = Arc::clone(&self.observed.borrow_and_update());
        let overrides = Arc::clone(&self.overrides.borrow_and_update());
        Some(Newest { desired: desired?, observed, overrides })
    }

    /// Carries out an operator's word, as an activation of its own: the next one knows of nothing else than what was
    /// planned here. Tells when to plan again, where it planned.
    async fn fail_back(&mut self, order: FailbackOrder) -> Option<Timestamp> {
        let Some(newest) = self.newest() else {
            // Who asked may be gone.
            let _ = order.reply.send(Err(not_served_yet()));
            return None;
        };
        let previous = self.previous();
        let inputs = self.inputs(&newest, previous.as_deref());
        let approved = approve(&inputs, &self.store, &order).await;
        let again_at = match &approved {
            Ok(returned) => self.activate(&newest, Some(&returned.service)).await,
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
    async fn activate(&self, newest: &Newest, returning: Option<&ServiceName>) -> Option<Timestamp> {
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
        let held_before = previous.map_or_else(Vec::new, |plan| plan.holds.clone());
        for hold in plan.holds.iter().filter(|hold| !held_before.contains(hold)) {
            warn!(%hold, "held");
        }
        debug!(revision = %plan.revision, generation = %plan.generation, changes = plan.changes.len(), "activation ended");
        let is_new = !plan.changes.is_empty() || plan.holds != held_before;
        // Edges first: the record of what is served does not delay serving it.
        let desired = &newest.desired;
        self.plans.send_replace(Some(PlanSnapshot { plan: Arc::clone(&plan), desired: Arc::clone(desired) }));
        if is_new && let Err(error) = self.store.record_served(Arc::clone(desired), plan).await {
            warn!(error = %chain(&error), "what is served not written to the state file");
        }
        next_at
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
    running: BTreeMap<EdgeName, (Arc<Edge>, CancellationToken)>,
    tasks: JoinSet<EdgeName>,
}

impl Workers {
    /// Starts workers for new edges, ends those of edges that are gone, and replaces those whose settings changed.
    async fn follow(&mut self, reconciler: &Reconciler, desired: &Desired, shutdown: &CancellationToken) {
        let is_current = |name: &EdgeName, edge: &Arc<Edge>| desired.edges.get(name) == Some(edge);
        let gone: Vec<_> = self
            .running
            .iter()
            .filter(|(name, (edge, _))| !is_current(name, edge))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some((_, stop)) = self.running.remove(&name) {
                stop.cancel();
                // One writer for each edge: the old worker has ended before a new one begins.
                while let Some(Ok(ended)) = self.tasks.join_next().await {
                    if ended == name {
                        break;
                    }
                }
                reconciler.reports.send_modify(|reports| {
                    reports.remove(&name);
                });
                info!(edge = %name, "edge left");
            }
        }
        for (name, edge) in &desired.edges {
            if self.running.contains_key(name) {
                continue;
            }
            let admin = match CaddyAdmin::new(edge.admin.clone(), AdminSettings::default()) {
                Ok(admin) => admin,
                Err(error) => {
                    error!(edge = %name, error = %chain(&error), "no client for the edge");
                    continue;
                }
            };
            let worker = EdgeWorker {
                edge: Arc::clone(edge),
                admin,
                settings: reconciler.edge_settings,
                clock: reconciler.clock,
                store: reconciler.store.clone(),
                plans: reconciler.plans.subscribe(),
                reports: reconciler.reports.clone(),
                heard: Arc::clone(&reconciler.heard),
            };
            let stop = shutdown.child_token();
            self.running.insert(name.clone(), (Arc::clone(edge), stop.clone()));
            let name = name.clone();
            self.tasks.spawn(async move {
                worker.run(stop).await;
                name
            });
        }
    }

    /// A worker that ended though nobody told it to. Never returns while all is well.
    async fn ended(&mut self) -> Option<EdgeName> {
        match self.tasks.join_next().await {
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => None,
            None => std::future::pending().await,
        }
    }

    async fn stop_all(&mut self) {
        for (_, stop) in self.running.values() {
            stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
