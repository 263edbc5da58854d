//! The reconciler alone, over a state file, in simulated time.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bascule::controller::{EdgeReports, EdgeSettings, Reconciler, RelayLog, Served, SourceState};
use bascule::core::health::Observed;
use bascule::core::inventory::{Edge, load};
use bascule::core::model::{FileSet, Generation, Revision, RevisionInfo, Timestamp};
use bascule::core::routing::{Action, Override, Overrides, Target};
use bascule::edge::{AdminSettings, CaddyAdmin};
use bascule::store::Store;
use tokio::sync::{mpsc, watch};
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

/// A revision with one backend and no edge.
fn revision(id: &str) -> SourceState {
    let files: FileSet = [
        ("sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n"),
        ("services/api.yaml", "name: api\ndomains: [api.acecinema.fr]\n"),
        ("backends/api-1.yaml", "name: api-1\nservice: api\nsite: dijon\naddr: 10.200.1.1\nport: 80\n"),
    ]
    .into_iter()
    .map(|(path, text)| (path, text.as_bytes()))
    .collect();
    let id = Revision::new(id);
    let loaded = load(&files, id.clone());
    let desired = Arc::new(loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
    let info = RevisionInfo { id, author: String::new(), subject: String::new(), committed_at: START };
    SourceState { served: Some(Served { info, desired }), ..SourceState::default() }
}

fn observed(generation: u64, id: &str) -> Arc<Observed> {
    let (generation, revision) = (Generation(generation), Some(Revision::new(id)));
    Arc::new(Observed { generation, revision, ..Observed::default() })
}

/// A hold or an override ends while the observer, held up by a slow disk, does not follow the newest revision yet.
#[tokio::test(start_paused = true)]
async fn what_is_due_waits_for_the_observer_without_going_round() {
    BEGAN.set(Some(Instant::now()));
    let folder = tempfile::tempdir().expect("a folder");
    let (store, work) =
        Store::open_here(&folder.path().join("state.db"), Box::new(|| Duration::ZERO)).expect("a state file");
    tokio::spawn(work);
    let ends = Override {
        target: Target::Backend("api-1".parse().expect("a name")),
        action: Action::Drain,
        reason: "trial".to_owned(),
        by: String::new(),
        set_at: START,
        until: START.plus(Duration::from_secs(5)),
    };
    let (source, source_rx) = watch::channel(revision("one"));
    let (observations, observed_rx) = watch::channel(observed(1, "one"));
    let (_overrides, overrides_rx) = watch::channel(Arc::new(Overrides::in_force([ends], START)));
    let (_failbacks, failbacks_rx) = mpsc::channel(1);
    let (plans_tx, mut plans) = watch::channel(None);
    let reconciler = Reconciler {
        connect: |edge: &Edge| CaddyAdmin::new(edge.admin.clone(), AdminSettings::default()),
        edge_settings: EdgeSettings::default(),
        clock,
        store,
        source: source_rx,
        observed: observed_rx,
        overrides: overrides_rx,
        failbacks: failbacks_rx,
        remembered: std::collections::BTreeMap::default(),
        guard: None,
        heard: Arc::<RelayLog>::default(),
        plans: plans_tx,
        reports: watch::Sender::new(EdgeReports::new()),
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(reconciler.run(shutdown.clone()));
    plans.changed().await.expect("the first plan");
    source.send_replace(revision("two"));
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::timeout(Duration::from_secs(10), plans.changed()).await.expect_err("nobody has followed yet");
    observations.send_replace(observed(2, "two"));
    plans.changed().await.expect("a plan once the observer has followed");
    let plan = plans.borrow().clone().expect("a plan").plan;
    assert_eq!(plan.revision, Revision::new("two"));
    let service = plan.effective.services.values().next().expect("a service");
    assert!(service.members[0].overridden.is_none(), "the override has ended: {service:?}");
    shutdown.cancel();
    running.await.expect("it ends in order");
}
