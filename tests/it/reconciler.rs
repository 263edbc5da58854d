//! The reconciler alone, over a state file, in simulated time.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bascule::controller::{
    EdgeReports, EdgeSettings, FailbackOrder, PlanSnapshot, Reconciler, RelayLog, Served, SourceState,
};
use bascule::core::caddy::Actual;
use bascule::core::health::{BackendHealth, Observed, Verdict};
use bascule::core::inventory::{Edge, load};
use bascule::core::model::{FileSet, Generation, Revision, RevisionInfo, Timestamp};
use bascule::core::routing::{Action, Choice, Override, Overrides, Plan, Target};
use bascule::core::status::EdgeState;
use bascule::edge::{Admin, AdminError};
use bascule::store::Store;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
/// The reconciler looks at the clock a few times a second. One that goes round and round looks at it as often as it can.
const LOOKS_MAX: u32 = 1000;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

fn clock() -> Timestamp {
    LOOKS.set(LOOKS.get() + 1);
    assert!(LOOKS.get() < LOOKS_MAX, "the reconciler does nothing but look at the clock");
    START.plus(BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed()))
}

/// An edge that runs nothing yet and refuses whatever it is sent.
struct Refusing(Edge);

impl Admin for Refusing {
    async fn read(&self) -> Result<Actual, AdminError> {
        Ok(Actual { config: serde_json::Value::Null, etag: "\"/config/ 0\"".to_owned() })
    }

    async fn replace(&self, _config: Vec<u8>, _etag: &str) -> Result<(), AdminError> {
        let message = "loading new config: out of luck".to_owned();
        Err(AdminError::Rejected { address: self.0.admin.clone(), status: 400, message })
    }
}

/// A revision with two backends and no edge.
fn revision(id: &str, policy: &str) -> SourceState {
    revision_with(id, policy, &[])
}

fn revision_with(id: &str, policy: &str, more: &[(&'static str, &str)]) -> SourceState {
    let backend =
        |number| format!("{{name: api-{number}, service: api, site: dijon, addr: 10.200.1.{number}, port: 80}}");
    let files: FileSet = [
        ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n".to_owned()),
        ("services/api.yaml", format!("name: api\ndomains: [api.acecinema.fr]\nrouting: {policy}\n")),
        ("backends/api-1.yaml", backend(1)),
        ("backends/api-2.yaml", backend(2)),
    ]
    .iter()
    .map(|(path, text)| (*path, text.as_bytes()))
    .chain(more.iter().map(|(path, text)| (*path, text.as_bytes())))
    .collect();
    let id = Revision::new(id);
    let loaded = load(&files, id.clone());
    let desired = Arc::new(loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
    let info = RevisionInfo { id, author: String::new(), subject: String::new(), committed_at: START };
    SourceState { served: Some(Served { info, desired, quarantine: Arc::new([]) }), ..SourceState::default() }
}

fn observed(generation: u64, id: &str) -> Arc<Observed> {
    let (generation, revision) = (Generation(generation), Some(Revision::new(id)));
    Arc::new(Observed { generation, revision, ..Observed::default() })
}

/// A reconciler that runs, and what it is told.
struct Running {
    store: Store,
    source: watch::Sender<SourceState>,
    observations: watch::Sender<Arc<Observed>>,
    plans: watch::Receiver<Option<PlanSnapshot>>,
    reports: watch::Receiver<EdgeReports>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    /// What only has to stay.
    _kept: (mpsc::Sender<FailbackOrder>, watch::Sender<Arc<Overrides>>, TempDir),
}

impl Running {
    /// Starts one whose state file takes so long over a commit.
    fn start(first: SourceState, observed: Arc<Observed>, overrides: Overrides, commit: Duration) -> Self {
        BEGAN.set(Some(Instant::now()));
        let folder = tempfile::tempdir().expect("a folder");
        let (store, work) =
            Store::open_here(&folder.path().join("state.db"), Box::new(move || commit)).expect("a state file");
        tokio::spawn(work);
        let (source, source_rx) = watch::channel(first);
        let (observations, observed_rx) = watch::channel(observed);
        let (overrides, overrides_rx) = watch::channel(Arc::new(overrides));
        let (failbacks, failbacks_rx) = mpsc::channel(1);
        let (plans_tx, plans) = watch::channel(None);
        let (reports_tx, reports) = watch::channel(EdgeReports::new());
        let reconciler = Reconciler {
            connect: |edge: &Edge| Ok(Refusing(edge.clone())),
            edge_settings: EdgeSettings::default(),
            clock,
            store: store.clone(),
            source: source_rx,
            observed: observed_rx,
            overrides: overrides_rx,
            failbacks: failbacks_rx,
            remembered: std::collections::BTreeMap::default(),
            guard: None,
            looks: Arc::default(),
            heard: Arc::<RelayLog>::default(),
            plans: plans_tx,
            reports: reports_tx,
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(reconciler.run(shutdown.clone()));
        Self { store, source, observations, plans, reports, shutdown, task, _kept: (failbacks, overrides, folder) }
    }

    async fn next_plan(&mut self) -> Arc<Plan> {
        self.plans.changed().await.expect("it runs");
        self.plans.borrow_and_update().as_ref().map(|snapshot| Arc::clone(&snapshot.plan)).expect("a plan")
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("it ends in order");
    }
}

/// A hold or an override ends while the observer, held up by a slow disk, does not follow the newest revision yet.
#[tokio::test(start_paused = true)]
async fn what_is_due_waits_for_the_observer_without_going_round() {
    let ends = Override {
        target: Target::Backend("api-1".parse().expect("a name")),
        action: Action::Drain,
        reason: "trial".to_owned(),
        by: String::new(),
        set_at: START,
        until: START.plus(Duration::from_secs(5)),
    };
    let overrides = Overrides::in_force([ends], START);
    let spread = "{policy: spread}";
    let mut running = Running::start(revision("one", spread), observed(1, "one"), overrides, Duration::ZERO);
    running.next_plan().await;
    running.source.send_replace(revision("two", spread));
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::timeout(Duration::from_secs(10), running.next_plan()).await.expect_err("nobody has followed yet");
    running.observations.send_replace(observed(2, "two"));
    let plan = running.next_plan().await;
    assert_eq!(plan.revision, Revision::new("two"));
    let service = plan.effective.services.values().next().expect("a service");
    assert!(service.members[0].overridden.is_none(), "the override has ended: {service:?}");
    running.stop().await;
}

/// There is nothing to go back to at an edge whose first configuration is refused, and nothing to ask it for.
#[tokio::test(start_paused = true)]
async fn an_edge_that_refuses_its_first_configuration_is_left_until_the_next_look() {
    let edge = ("edges/ovh.yaml", "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [':8080']\ntls: {mode: off}\n");
    let first = revision_with("one", "{policy: spread}", &[edge]);
    let mut running = Running::start(first, observed(1, "one"), Overrides::default(), Duration::ZERO);
    let is_stalled = |reports: &EdgeReports| reports.values().any(|report| report.state == EdgeState::Stalled);
    running.reports.wait_for(is_stalled).await.expect("it runs");
    let looks = LOOKS.get();
    tokio::time::sleep(EdgeSettings::default().resync * 10).await;
    let more = LOOKS.get() - looks;
    assert!(more < 100, "the clock was looked at {more} times in ten looks at the edge");
    running.stop().await;
}

/// Whoever crashes after an edge has heard of a plan, and before the state file has, would choose anew, and there would be
/// two of what is one at a time.
#[tokio::test(start_paused = true)]
async fn which_one_serves_at_a_time_is_written_before_anybody_hears_of_it() {
    let single = revision("one", "{policy: single, confirm: 5s}");
    let commit = Duration::from_secs(2);
    let mut running = Running::start(single, observed(1, "one"), Overrides::default(), commit);
    let mut lost = Observed::clone(&observed(2, "one"));
    for (name, verdict) in [("api-1", Verdict::Down), ("api-2", Verdict::Up)] {
        let health = BackendHealth { verdict, since: Some(START), ..BackendHealth::default() };
        lost.backends.insert(name.parse().expect("a name"), health);
    }
    let lost = Arc::new(lost);
    for expected in ["api-1", "api-2"] {
        let plan = loop {
            let plan = running.next_plan().await;
            let chosen = plan.effective.services.values().next().and_then(|service| service.choice.clone());
            if chosen == Some(Choice::Backend(expected.parse().expect("a name"))) {
                break plan;
            }
        };
        let chosen = running.store.choices().await.expect("the state file is readable");
        let planned = plan.effective.services.iter().map(|(name, service)| (name.clone(), service.choice.clone()));
        assert_eq!(
            chosen.into_iter().map(|(name, choice)| (name, Some(choice))).collect::<Vec<_>>(),
            planned.collect::<Vec<_>>()
        );
        running.observations.send_replace(Arc::clone(&lost));
    }
    running.stop().await;
}
