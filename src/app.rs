//! The composition root: builds, wires, spawns, shuts down.

mod archive;
mod ears;
mod operators;
mod recall;
mod tasks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::ears::Ears;
use self::operators::Operators;
use self::recall::recall_all;
use self::tasks::Tasks;
use crate::api::{self, Api, ApiSecrets, Webhooks};
use crate::controller::{
    Announcer, Answering, Desk, DeskOrder, EdgeReports, EdgeSettings, LayerKeeper, ORDERS_BOUND, Observer,
    ObserverSettings, OnFault, PlanSnapshot, Pulse, Reconciler, RelayLog, Severing, SourceState, Watcher,
    WatcherSettings, chain,
};
use crate::core::health::{BackendHealth, Layers, Observed, SecretFaults};
use crate::core::inventory::{Edge, RevisionGuard};
use crate::core::model::{BackendName, DialAddress, Timestamp};
use crate::core::routing::{InventoryGuard, Overrides};
use crate::core::status::{ForgeReport, Inputs, SeverDto, StatusDto, view};
use crate::edge::{AdminSettings, Answer, Asked, ScopedAdmin};
use crate::forge::{Forge, ForgeSettings};
use crate::git::{Location, Source, SourceSettings, watch_local};
use crate::probe::{LOOKS_BOUND, ProbeSet, Prober, ProberSettings, SAMPLES_BOUND, TunnelProber, TunnelSet};
use crate::sever::Severer;
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
    /// How much a revision may take out without a word; none: as much as it likes.
    pub revision_guard: Option<RevisionGuard>,
    /// What becomes of a revision whose errors are of some services.
    pub on_fault: OnFault,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What others must have who tell this controller something.
    pub secrets: ApiSecrets,
    /// Where relays of edges are answered, and at the same UDP port told what clients meet; none: nowhere.
    pub relay: Option<DialAddress>,
    /// How much observation may take out of the whole inventory at once; none: all.
    pub guard: Option<InventoryGuard>,
    /// How edges are driven.
    pub edge: EdgeSettings,
    /// Whether connections to backends that vanished are ended.
    pub sever: Sever,
    /// The forge that is told how commits stand; none: nobody is.
    pub forge: Option<ForgeSettings>,
    /// How many probes may be under way at once, and how they are made.
    pub prober: ProberSettings,
}

/// Whether connections to backends that vanished, or whose time to drain is over, are ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sever {
    /// They are not.
    #[default]
    Off,
    /// They are, where this process may.
    On,
}

/// The longest that a source which cannot be read is left alone.
const SOURCE_RETRY_MAX: Duration = Duration::from_mins(5);
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
    tunnels: watch::Sender<Arc<TunnelSet>>,
    layers: watch::Sender<Arc<Layers>>,
    overrides: watch::Sender<Arc<Overrides>>,
    sever: watch::Sender<Option<SeverDto>>,
    forge: watch::Sender<Option<ForgeReport>>,
    pulse: Arc<Pulse>,
    heard: Arc<RelayLog>,
    looks: Arc<Notify>,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            source: watch::Sender::new(SourceState::default()),
            observed: watch::Sender::new(Arc::default()),
            plans: watch::Sender::new(None),
            reports: watch::Sender::new(BTreeMap::new()),
            targets: watch::Sender::new(Arc::default()),
            tunnels: watch::Sender::new(Arc::default()),
            layers: watch::Sender::new(Arc::default()),
            overrides: watch::Sender::new(Arc::default()),
            sever: watch::Sender::new(None),
            forge: watch::Sender::new(None),
            pulse: Arc::default(),
            heard: Arc::default(),
            looks: Arc::default(),
        }
    }
}

impl Wires {
    fn desk(&self, store: &Store, guard: Option<InventoryGuard>, orders: mpsc::Receiver<DeskOrder>) -> Desk {
        Desk {
            clock: now,
            store: store.clone(),
            guard,
            source: self.source.subscribe(),
            observed: self.observed.subscribe(),
            plans: self.plans.subscribe(),
            orders,
            overrides: self.overrides.clone(),
        }
    }

    /// How relays are answered.
    fn answer(&self) -> Answer {
        let (plans, pulse, heard) = (self.plans.subscribe(), Arc::clone(&self.pulse), Arc::clone(&self.heard));
        let answering = Answering { plans, pulse, heard };
        Arc::new(move |asked: Asked<'_>| answering.answer(asked))
    }
}

/// Runs the controller until `shutdown`, or until one of its tasks ends by itself, which is an error.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Settings {
        source,
        state,
        poll,
        revision_guard,
        on_fault,
        listen,
        secrets,
        relay,
        guard,
        edge,
        sever,
        forge,
        prober,
    } = settings;
    // What can refuse to start comes first, and what is said to listen does from then on.
    let followed = source.clone();
    let source = Source::open(source)?;
    let (prober, forge) = (Prober::new(prober)?, forge.map(Forge::new).transpose()?);
    let listener = api::bind(listen).await?;
    let address = listener.local_addr().context("the API's address is not known")?;
    let ears = Ears::open(relay.as_ref()).await?;
    let store = Store::open(&state)?;
    info!(listen = %address, "API listens");
    let wires = Wires::default();
    let (remembered, chosen) = recall_all(&store, &wires).await;

    let mut tasks = Tasks::new(shutdown.clone());
    let wake = Arc::new(Notify::new());
    tasks.guards.extend(watch_source(&followed, poll, &wake));
    let (steers_tx, steers) = mpsc::channel(ORDERS_BOUND);
    let webhooks = Webhooks::new(secrets.webhook, branch(&followed), Arc::clone(&wake));
    let watcher = Watcher {
        settings: WatcherSettings { poll, retry_max: SOURCE_RETRY_MAX, guard: revision_guard, on_fault },
        clock: now,
        source,
        folder: followed.path.clone(),
        store: store.clone(),
        wake: Arc::clone(&wake),
        orders: steers,
        state: wires.source.clone(),
    };
    let (orders_tx, orders) = mpsc::channel(ORDERS_BOUND);
    let (failbacks_tx, failbacks) = mpsc::channel(ORDERS_BOUND);
    let desk = wires.desk(&store, guard, orders);
    let reconciler = Reconciler {
        connect: |edge: &Edge| ScopedAdmin::of(edge, AdminSettings::default()),
        edge_settings: edge,
        clock: now,
        store: store.clone(),
        source: wires.source.subscribe(),
        observed: wires.observed.subscribe(),
        overrides: wires.overrides.subscribe(),
        failbacks,
        remembered: chosen,
        guard,
        looks: Arc::clone(&wires.looks),
        heard: Arc::clone(&wires.heard),
        plans: wires.plans.clone(),
        reports: wires.reports.clone(),
    };
    ears.spawn(&wires, prober.suspicions(), &mut tasks);
    let secrets_missed = prober.secret_faults();
    tasks.spawn("desk", |stop| desk.run(stop));
    tasks.spawn("reconciler", |stop| reconciler.run(stop));
    spawn_probing(prober, remembered, &mut tasks, &wires, &store);
    spawn_layers(&mut tasks, &wires, &store);
    tasks.spawn("watcher", |stop| watcher.run(stop));
    spawn_severer(sever, &wires, &mut tasks);
    spawn_announcer(forge, &wires, &store, &mut tasks);
    let operator = Operators {
        orders: orders_tx,
        failbacks: failbacks_tx,
        steers: steers_tx,
        wake,
        looks: Arc::clone(&wires.looks),
        store: store.clone(),
        folder: followed.path,
        source: wires.source.subscribe(),
        observed: wires.observed.subscribe(),
        overrides: wires.overrides.subscribe(),
        plans: wires.plans.subscribe(),
        guard,
        clock: now,
    };
    let api = Api { view: Arc::new(move || look(&wires, &secrets_missed)), operator, token: secrets.token, webhooks };
    tasks.spawn("api", |stop| serve(api, listener, stop));
    let ended = tasks.join().await;
    store.close().await;
    match ended {
        None => Ok(()),
        Some(name) => anyhow::bail!("the {name} ended by itself; this is a fault of bascule"),
    }
}

async fn serve(api: Api<Operators>, listener: TcpListener, stop: CancellationToken) {
    if let Err(error) = api.serve(listener, stop).await {
        error!(error = %chain(&error), "the API failed");
    }
}

/// Starts who probes backends, and who judges what comes of it.
fn spawn_probing(
    prober: Prober,
    remembered: BTreeMap<BackendName, BackendHealth>,
    tasks: &mut Tasks,
    wires: &Wires,
    store: &Store,
) {
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
    let targets = wires.targets.subscribe();
    tasks.spawn("observer", |stop| observer.run(remembered, stop));
    tasks.spawn("prober", |stop| prober.run(targets, samples_tx, stop));
}

/// Starts who looks at tunnels, and who judges what lies between edges and backends.
fn spawn_layers(tasks: &mut Tasks, wires: &Wires, store: &Store) {
    let (looks_tx, looks) = mpsc::channel(LOOKS_BOUND);
    let keeper = LayerKeeper {
        clock: now,
        store: store.clone(),
        source: wires.source.subscribe(),
        observed: wires.observed.subscribe(),
        looks,
        targets: wires.tunnels.clone(),
        layers: wires.layers.clone(),
    };
    let prober = TunnelProber { clock: Arc::new(now), targets: wires.tunnels.subscribe(), looks: looks_tx };
    tasks.spawn("tunnel prober", |stop| prober.run(stop));
    tasks.spawn("layer keeper", |stop| keeper.run(stop));
}

/// Starts what ends connections, where that is wanted and can be done; said once where it cannot.
fn spawn_severer(sever: Sever, wires: &Wires, tasks: &mut Tasks) {
    if sever == Sever::Off {
        return;
    }
    match Severer::open() {
        Ok(severer) => {
            wires.sever.send_replace(Some(SeverDto::On { connections: 0 }));
            let (observed, plans, report) = (wires.observed.subscribe(), wires.plans.subscribe(), wires.sever.clone());
            tasks.spawn("severer", |stop| Severing { severer, observed, plans, report }.run(stop));
        }
        Err(error) => {
            let reason = chain(&error);
            warn!(error = %reason, "connections to backends that vanish cannot be ended here");
            wires.sever.send_replace(Some(SeverDto::Unable { reason }));
        }
    }
}

/// Starts who tells a forge how commits stand, where one is named.
fn spawn_announcer(forge: Option<Forge>, wires: &Wires, store: &Store, tasks: &mut Tasks) {
    let Some(forge) = forge else { return };
    let settings = forge.settings();
    info!(
        forge = settings.kind.name(),
        api = settings.api(),
        repository = settings.repository,
        "telling a forge how commits stand"
    );
    let announcer = Announcer {
        forge,
        clock: now,
        store: store.clone(),
        source: wires.source.subscribe(),
        edges: wires.reports.subscribe(),
        report: wires.forge.clone(),
    };
    tasks.spawn("announcer", |stop| announcer.run(stop));
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

/// The branch that is followed; a plain folder has none.
fn branch(source: &SourceSettings) -> Option<&str> {
    (!matches!(source.location, Location::Directory(_))).then_some(&source.branch)
}

/// The view of this moment.
fn look(wires: &Wires, secrets_missed: &watch::Receiver<SecretFaults>) -> StatusDto {
    let source = wires.source.borrow().clone();
    let observed = Arc::clone(&wires.observed.borrow());
    let layers = Arc::clone(&wires.layers.borrow());
    let overrides = Arc::clone(&wires.overrides.borrow());
    let plan = wires.plans.borrow().as_ref().map(|snapshot| Arc::clone(&snapshot.plan));
    let edges = wires.reports.borrow().clone();
    let secrets = secrets_missed.borrow().clone();
    let SourceState { served, fetched_at, fault, refusal, refused: _, newest, steering, on_fault } = source;
    let status = view(&Inputs {
        now: now(),
        served: served.as_ref().map(|served| (&served.info, &*served.desired)),
        quarantine: served.as_ref().map_or(&[], |served| &served.quarantine),
        is_strict: on_fault == OnFault::Hold,
        fetched_at,
        source_faults: [fault.as_ref(), refusal.as_ref()],
        newest: newest.as_ref(),
        pin: steering.pin.as_ref(),
        observed: &observed,
        secrets: &secrets,
        layers: &layers,
        overrides: &overrides,
        plan: plan.as_deref(),
        edges: &edges,
    });
    StatusDto { sever: wires.sever.borrow().clone(), ..status }.with_forge(wires.forge.borrow().as_ref())
}
