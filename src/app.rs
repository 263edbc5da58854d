//! The composition root: builds, wires, spawns, shuts down.

mod operators;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::operators::Operators;
use crate::api::{self, Api, ApiToken};
use crate::controller::{
    Answering, Desk, EdgeReports, EdgeSettings, ORDERS_BOUND, Observer, ObserverSettings, PlanSnapshot, Pulse,
    Reconciler, RelayLog, SourceState, Watcher, WatcherSettings, chain, recall,
};
use crate::core::health::Observed;
use crate::core::inventory::Edge;
use crate::core::model::{DialAddress, Timestamp};
use crate::core::routing::{InventoryGuard, Overrides};
use crate::core::status::{Inputs, StatusDto, view};
use crate::edge::{AdminSettings, Answer, Asked, CaddyAdmin, RelayServer};
use crate::git::{Location, Source, SourceSettings, watch_local};
use crate::probe::{ProbeSet, Prober, ProberSettings, SAMPLES_BOUND};
use crate::store::Store;

/// Everything that `bascule run` can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the inventory comes from.
    pub source: SourceSettings,
    /// The state file.
    pub state: PathBuf,
    /// Time between two reads of the source.
    pub poll: Duration,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What who gives orders from another machine must have; none: nobody may.
    pub api_token: Option<ApiToken>,
    /// Where relays of edges are answered; none: nowhere.
    pub relay: Option<DialAddress>,
    /// How much observation may take out of the whole inventory at once; none: all.
    pub guard: Option<InventoryGuard>,
    /// How edges are driven.
    pub edge: EdgeSettings,
    /// How many probes may be under way at once, and how they are made.
    pub prober: ProberSettings,
}

/// The longest that a source which cannot be read is left alone.
const SOURCE_RETRY_MAX: Duration = Duration::from_mins(5);
/// The longest that shutdown waits for work under way: a push to an edge has its own, shorter deadline.
const SHUTDOWN_MAX: Duration = Duration::from_secs(20);

/// The wall clock.
pub fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// The channels between the loops.
struct Wires {
    source: watch::Sender<SourceState>,
    observed: watch::Sender<Arc<Observed>>,
    plans: watch::Sender<Option<PlanSnapshot>>,
    reports: watch::Sender<EdgeReports>,
    targets: watch::Sender<Arc<ProbeSet>>,
    overrides: watch::Sender<Arc<Overrides>>,
    pulse: Arc<Pulse>,
    heard: Arc<RelayLog>,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            source: watch::Sender::new(SourceState::default()),
            observed: watch::Sender::new(Arc::default()),
            plans: watch::Sender::new(None),
            reports: watch::Sender::new(BTreeMap::new()),
            targets: watch::Sender::new(Arc::default()),
            overrides: watch::Sender::new(Arc::default()),
            pulse: Arc::default(),
            heard: Arc::default(),
        }
    }
}

impl Wires {
    /// How relays are answered.
    fn answer(&self) -> Answer {
        let (plans, pulse, heard) = (self.plans.subscribe(), Arc::clone(&self.pulse), Arc::clone(&self.heard));
        let answering = Answering { plans, pulse, heard };
        Arc::new(move |asked: Asked<'_>| answering.answer(asked))
    }
}

/// Runs the controller until `shutdown`, or until one of its tasks ends by itself, which is an error.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Settings { source, state, poll, listen, api_token, relay, guard, edge, prober } = settings;
    // What can refuse to start comes first, and what is said to listen does from then on.
    let followed = source.clone();
    let source = Source::open(source)?;
    let prober = Prober::new(prober)?;
    let listener = api::bind(listen).await?;
    let address = listener.local_addr().context("the API's address is not known")?;
    let relay = match &relay {
        Some(address) => Some(RelayServer::bind(address).await?),
        None => None,
    };
    let store = Store::open(&state)?;
    info!(listen = %address, "API listens");
    let wires = Wires::default();
    if let Some(served) = recall(&store).await {
        wires.source.send_replace(SourceState { served: Some(served), ..SourceState::default() });
    }
    recall_overrides(&store, &wires).await;
    let remembered = store.health().await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "verdicts are not readable in the state file; probing starts anew");
        BTreeMap::new()
    });
    let chosen = store.choices().await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "what was chosen is not readable in the state file; services start at what they prefer");
        BTreeMap::new()
    });

    let mut tasks = Tasks::new(shutdown.clone());
    let wake = Arc::new(Notify::new());
    tasks.guards.extend(watch_source(&followed, poll, &wake));
    let watcher = Watcher {
        settings: WatcherSettings { poll, retry_max: SOURCE_RETRY_MAX },
        clock: now,
        source,
        store: store.clone(),
        wake,
        state: wires.source.clone(),
    };
    let (samples_tx, samples) = mpsc::channel(SAMPLES_BOUND);
    let observer = Observer {
        settings: ObserverSettings::default(),
        clock: now,
        store: store.clone(),
        source: wires.source.subscribe(),
        samples,
        targets: wires.targets.clone(),
        observed: wires.observed.clone(),
        pulse: Arc::clone(&wires.pulse),
    };
    let (orders_tx, orders) = mpsc::channel(ORDERS_BOUND);
    let (failbacks_tx, failbacks) = mpsc::channel(ORDERS_BOUND);
    let desk = Desk {
        clock: now,
        store: store.clone(),
        guard,
        source: wires.source.subscribe(),
        observed: wires.observed.subscribe(),
        plans: wires.plans.subscribe(),
        orders,
        overrides: wires.overrides.clone(),
    };
    let reconciler = Reconciler {
        connect: |edge: &Edge| CaddyAdmin::new(edge.admin.clone(), AdminSettings::default()),
        edge_settings: edge,
        clock: now,
        store: store.clone(),
        source: wires.source.subscribe(),
        observed: wires.observed.subscribe(),
        overrides: wires.overrides.subscribe(),
        failbacks,
        remembered: chosen,
        guard,
        heard: Arc::clone(&wires.heard),
        plans: wires.plans.clone(),
        reports: wires.reports.clone(),
    };
    let targets = wires.targets.subscribe();
    tasks.spawn("observer", |stop| observer.run(remembered, stop));
    tasks.spawn("desk", |stop| desk.run(stop));
    tasks.spawn("reconciler", |stop| reconciler.run(stop));
    tasks.spawn("prober", |stop| prober.run(targets, samples_tx, stop));
    tasks.spawn("watcher", |stop| watcher.run(stop));
    if let Some(relay) = relay {
        let answer = wires.answer();
        tasks.spawn("relay", |stop| relay.serve(answer, stop));
    }
    let source = wires.source.subscribe();
    let operator = Operators { orders: orders_tx, failbacks: failbacks_tx, source, clock: now };
    let api = Api { view: Arc::new(move || look(&wires)), operator, token: api_token };
    tasks.spawn("api", |stop| async move {
        if let Err(error) = api.serve(listener, stop).await {
            error!(error = %chain(&error), "the API failed");
        }
    });
    let ended = tasks.join().await;
    store.close().await;
    match ended {
        None => Ok(()),
        Some(name) => anyhow::bail!("the {name} ended by itself; this is a fault of bascule"),
    }
}

/// Says where the inventory comes from, and watches that place if it is on this machine.
fn watch_source(source: &SourceSettings, poll: Duration, wake: &Arc<Notify>) -> Option<Box<dyn Send>> {
    let SourceSettings { location, branch, path, .. } = source;
    match location {
        Location::Remote(_) | Location::Local(_) => info!(repo = %location, branch, path, "following a git branch"),
        Location::Directory(_) => {
            info!(folder = %location, path, "reading a plain folder, without git: every saved file counts at once");
        }
    }
    let Some(place) = location.watched_path() else {
        info!(every = ?poll, "the repository is remote: it is polled");
        return None;
    };
    match watch_local(&place, branch, Arc::clone(wake)) {
        Ok(guard) => Some(Box::new(guard)),
        Err(error) => {
            warn!(every = ?poll, error = %chain(&error), "the source cannot be watched; it is only polled");
            None
        }
    }
}

/// What operators decided before this run, in time for the first plan.
async fn recall_overrides(store: &Store, wires: &Wires) {
    match store.overrides().await {
        Ok(overrides) => {
            let overrides: Overrides = overrides.into_iter().collect();
            let now = now();
            for it in overrides.iter().filter(|it| it.until > now) {
                info!(target = %it.target, decision = it.decision(now), "override still holds");
            }
            wires.overrides.send_replace(Arc::new(overrides));
        }
        Err(error) => {
            error!(error = %chain(&error), "overrides are not readable in the state file: none holds; set them again");
        }
    }
}

/// The view of this moment.
fn look(wires: &Wires) -> StatusDto {
    let source = wires.source.borrow().clone();
    let observed = Arc::clone(&wires.observed.borrow());
    let overrides = Arc::clone(&wires.overrides.borrow());
    let plan = wires.plans.borrow().as_ref().map(|snapshot| Arc::clone(&snapshot.plan));
    let edges = wires.reports.borrow().clone();
    let SourceState { served, fetched_at, fault, refusal } = source;
    view(&Inputs {
        now: now(),
        served: served.as_ref().map(|served| (&served.info, &*served.desired)),
        fetched_at,
        source_faults: [fault.as_ref(), refusal.as_ref()],
        observed: &observed,
        overrides: &overrides,
        plan: plan.as_deref(),
        edges: &edges,
    })
}

/// The tasks of the controller: one that ends before shutdown ends them all.
struct Tasks {
    shutdown: CancellationToken,
    set: JoinSet<&'static str>,
    guards: Vec<Box<dyn Send>>,
}

impl Tasks {
    fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, set: JoinSet::new(), guards: Vec::new() }
    }

    fn spawn<F>(&mut self, name: &'static str, start: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = start(self.shutdown.child_token());
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for the end: none at shutdown, else the task that ended by itself.
    async fn join(mut self) -> Option<&'static str> {
        let culprit = tokio::select! {
            () = self.shutdown.cancelled() => None,
            ended = self.set.join_next() => Some(ended.and_then(Result::ok).unwrap_or("task that panicked")),
        };
        // Something that ends at shutdown may win the race above; it is no culprit.
        let culprit = culprit.filter(|_| !self.shutdown.is_cancelled());
        self.shutdown.cancel();
        let all_ended = async { while self.set.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, all_ended).await.is_err() {
            warn!("some tasks did not end in time and are left");
        }
        culprit
    }
}
