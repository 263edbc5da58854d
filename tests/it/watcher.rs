//! The watcher over a real repository and a real state file, where commits must be signed, or have faults.

mod quarantine;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bascule::app::now;
use bascule::controller::{OnFault, SourceState, Watcher, WatcherSettings, recall};
use bascule::core::inventory::RevisionGuard;
use bascule::core::model::Limits;
use bascule::git::{Credentials, Location, Source, SourceSettings};
use bascule::store::Store;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::git_repo::{BRANCH, GitRepo};
use crate::support::signing::SigningKey;
use crate::support::wait::SOON;

const SITE: (&str, &str) = ("inventory/sites/dijon.yaml", "name: dijon\nsubnets: [10.200.1.0/24]\n");

/// A watcher at work.
struct Rig {
    repo: GitRepo,
    key: SigningKey,
    on_fault: OnFault,
    running: Option<Running>,
}

struct Running {
    state: watch::Receiver<SourceState>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    store: Store,
}

impl Rig {
    /// A repository with one commit that is not signed, and a file that lists one key.
    fn new() -> Self {
        let repo = GitRepo::with(&[SITE]);
        let key = SigningKey::make(repo.beside("key"));
        let rig = Self { repo, key, on_fault: OnFault::Quarantine, running: None };
        rig.list(&rig.key.line(""));
        rig
    }

    fn list(&self, text: &str) {
        std::fs::write(self.repo.beside("allowed_signers"), text).expect("the temp dir is writable");
    }

    /// Starts as `bascule run` does, with what the state file remembers.
    async fn start(&mut self, asks_for_signatures: Signatures) {
        let file = self.repo.beside("allowed_signers");
        let source = SourceSettings {
            location: Location::Local(self.repo.path()),
            branch: BRANCH.to_owned(),
            path: "inventory".to_owned(),
            credentials: Credentials::default(),
            allowed_signers: (asks_for_signatures == Signatures::Asked).then_some(file),
            allowed_pgp_keys: None,
            limits: Limits::default(),
            cache: self.repo.beside("cache"),
            timeout: SOON,
        };
        let store = Store::open(&self.repo.beside("bascule.db")).expect("a state file");
        let first = SourceState { served: recall(&store).await, ..SourceState::default() };
        let (sender, state) = watch::channel(first);
        let moments = Duration::from_millis(30);
        let watcher = Watcher {
            settings: WatcherSettings {
                poll: moments,
                retry_max: moments,
                guard: Some(RevisionGuard::default()),
                on_fault: self.on_fault,
            },
            clock: now,
            source: Source::open(source).expect("it opens"),
            folder: "inventory".to_owned(),
            store: store.clone(),
            wake: Arc::new(Notify::new()),
            orders: mpsc::channel(1).1,
            state: sender,
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(watcher.run(shutdown.clone()));
        self.running = Some(Running { state, shutdown, task, store });
    }

    async fn stop(&mut self) {
        let Running { shutdown, task, store, .. } = self.running.take().expect("it runs");
        shutdown.cancel();
        task.await.expect("it ends well");
        store.close().await;
    }

    async fn wait(&mut self, what: impl Debug, is_so: impl FnMut(&SourceState) -> bool) -> SourceState {
        let state = &mut self.running.as_mut().expect("it runs").state;
        let waited =
            tokio::time::timeout(SOON, state.wait_for(is_so)).await.map(|state| state.expect("it runs").clone());
        let Ok(state) = waited else { panic!("{what:?} did not come: {:?}", *state.borrow()) };
        state
    }

    /// Waits until a revision is served and nothing is wrong.
    async fn wait_until_served(&mut self, id: &str) {
        self.wait(id, |state| served(state) == Some(id) && state.refusal.is_none() && state.fault.is_none()).await;
    }

    /// Waits for a refusal with all these parts.
    async fn wait_for_refusal(&mut self, parts: &[&str]) -> SourceState {
        self.wait(parts, |state| {
            state.refusal.as_ref().is_some_and(|refusal| parts.iter().all(|part| refusal.message.contains(part)))
        })
        .await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signatures {
    Asked,
    NotAsked,
}

fn served(state: &SourceState) -> Option<&str> {
    state.served.as_ref().map(|served| served.info.id.as_str())
}

#[tokio::test]
async fn an_unsigned_revision_is_held_and_the_last_good_stays() {
    let mut rig = Rig::new();
    let unsigned = rig.repo.head();
    rig.start(Signatures::Asked).await;
    let state = rig.wait_for_refusal(&[&unsigned[..12], "is held", "not signed", "; nothing is served yet"]).await;
    assert_eq!(served(&state), None);
    let good = rig.key.commit(&rig.repo, "signed");
    rig.wait_until_served(&good).await;
    // A bad revision that is signed is refused for what it says, one that is not signed is not even read.
    rig.repo.write("inventory/sites/thory.yaml", "nome: thory\n");
    let bad = rig.key.commit(&rig.repo, "bad");
    rig.wait_for_refusal(&[&bad[..12], "is refused", "thory.yaml"]).await;
    let held = rig.repo.commit("bad, and not signed");
    let state = rig.wait_for_refusal(&[&held[..12], "is held", "not signed", "; the last good revision stays"]).await;
    assert_eq!(served(&state), Some(good.as_str()));
    // Back at the bad one, it is read again.
    rig.repo.git(&["reset", "--quiet", "--hard", &bad]);
    rig.wait_for_refusal(&[&bad[..12], "is refused", "thory.yaml"]).await;
    // And over a restart.
    rig.repo.git(&["reset", "--quiet", "--hard", &held]);
    rig.stop().await;
    rig.start(Signatures::Asked).await;
    let state = rig.wait_for_refusal(&[&held[..12], "is held"]).await;
    assert_eq!(served(&state), Some(good.as_str()));
    // Back at the good one, nothing is wrong.
    rig.repo.git(&["reset", "--quiet", "--hard", &good]);
    rig.wait_until_served(&good).await;
    rig.repo.git(&["reset", "--quiet", "--hard", &held]);
    rig.wait_for_refusal(&[&held[..12]]).await;
    rig.repo.write("inventory/sites/thory.yaml", "name: thory\nsubnets: [10.200.2.0/24]\n");
    let mended = rig.key.commit(&rig.repo, "mended");
    rig.wait_until_served(&mended).await;
    rig.stop().await;
}

#[tokio::test]
async fn the_file_is_read_again_at_each_fetch() {
    let mut rig = Rig::new();
    let good = rig.key.commit(&rig.repo, "signed");
    rig.start(Signatures::Asked).await;
    rig.wait_until_served(&good).await;
    let other = SigningKey::make(rig.repo.beside("other"));
    let next = other.commit(&rig.repo, "by somebody else");
    let first = rig.wait_for_refusal(&[&next[..12], &other.fingerprint()]).await;
    let fetched = first.fetched_at;
    let again = rig.wait("a later look", |state| state.fetched_at > fetched).await;
    assert_eq!(again.refusal, first.refusal, "it is one fault, with one beginning");
    rig.list(&format!("{}{}", rig.key.line(""), other.line("")));
    rig.wait_until_served(&next).await;

    // While it cannot be read, nothing newer is served.
    rig.list("no key\n");
    let newer = rig.key.commit(&rig.repo, "newer");
    let said = |state: &SourceState| state.fault.as_ref().is_some_and(|fault| fault.message.contains(":1: "));
    let state = rig.wait("the fault", said).await;
    assert_eq!(served(&state), Some(next.as_str()));
    rig.list(&rig.key.line(""));
    rig.wait_until_served(&newer).await;

    // A key that is struck out takes nothing back, and that is said.
    rig.list(&other.line(""));
    let state = rig.wait_for_refusal(&[&newer[..12], "is served, and would be held", &rig.key.fingerprint()]).await;
    assert_eq!(served(&state), Some(newer.as_str()));
    rig.list(&rig.key.line(""));
    rig.wait_until_served(&newer).await;
    rig.stop().await;
}

#[tokio::test]
async fn what_was_served_before_signatures_were_asked_for_stays_and_is_said() {
    let mut rig = Rig::new();
    let before = rig.repo.head();
    rig.start(Signatures::NotAsked).await;
    rig.wait_until_served(&before).await;
    rig.stop().await;
    rig.start(Signatures::Asked).await;
    let state = rig.wait_for_refusal(&[&before[..12], "is served, and would be held", "not signed"]).await;
    assert_eq!(served(&state), Some(before.as_str()));
    let signed = rig.key.commit(&rig.repo, "signed");
    rig.wait_until_served(&signed).await;
    rig.stop().await;
}
