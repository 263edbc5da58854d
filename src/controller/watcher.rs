mod quarantine;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::quarantine::{Servable, tell};
use super::backoff::backoff;
use super::{Clock, Refused, Served, SourceState, SteerOrder};
use crate::core::inventory::{Consent, Desired, Loaded, RevisionGuard};
use crate::core::model::{Diagnostic, FileSet, Revision, RevisionInfo, Severity};
use crate::core::status::Fault;
use crate::git::{Moved, Revisions, Snapshot, SourceError, prefix};
use crate::store::{RevisionOutcome, Store};

/// When the source is read.
#[derive(Debug, Clone, Copy)]
pub struct WatcherSettings {
    /// Time between two reads while nothing wakes the watcher.
    pub poll: Duration,
    /// Longest wait between two reads of a source that cannot be read.
    pub retry_max: Duration,
    /// How much a revision may take out without a word; none: as much as it likes.
    pub guard: Option<RevisionGuard>,
    /// What becomes of a revision whose errors are of some services.
    pub on_fault: OnFault,
}

/// What becomes of a revision whose errors are of some services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFault {
    /// They stay as they were served last, and the rest goes on.
    #[default]
    Quarantine,
    /// The last good revision stays.
    Hold,
}

/// Under which name the state file has the folder that the served revision was read from.
const FOLDER: &str = "served_folder";
/// Wait before the first new try of a source that could not be read; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Share of the poll interval that is left to chance, so that many controllers do not ask one forge at the same moment.
const JITTER: f64 = 0.1;
/// Diagnostics kept in the status; `bascule check` shows them all.
const DETAILS_MAX: usize = 50;

/// Follows the source and publishes the last good revision.
pub struct Watcher<S> {
    /// When to read.
    pub settings: WatcherSettings,
    /// The wall clock.
    pub clock: Clock,
    /// Where to read from.
    pub source: S,
    /// The inventory's folder there.
    pub folder: String,
    /// Where revisions are kept.
    pub store: Store,
    /// Says that the source may have changed.
    pub wake: Arc<Notify>,
    /// What operators order.
    pub orders: mpsc::Receiver<SteerOrder>,
    /// What is known.
    pub state: watch::Sender<SourceState>,
}

/// How far the source has been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What was read last, good or bad: it is not checked twice.
    pub(super) last: Option<Revision>,
    /// What commits allowed since the last good revision; none for a source without commits.
    pub(super) consent: Option<Consent>,
    /// The revision that is held for what it takes out.
    pub(super) held: Option<Revision>,
    /// The revision that an operator let pass, whatever it takes out.
    pub(super) allowed: Option<Revision>,
    failures: u32,
}

impl<S: Revisions> Watcher<S> {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        self.tell_of_strictness();
        let mut reading = Reading {
            last: if self.is_of_another_folder().await { None } else { self.served() },
            allowed: self.state.borrow().steering.allowed.clone(),
            ..Reading::default()
        };
        loop {
            let fetched = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                // Before a remote has answered, which may take a minute.
                Some(order) = self.orders.recv() => {
                    self.steer(order, &mut reading).await;
                    continue;
                }
                fetched = self.source.fetch(reading.last.clone()) => fetched,
            };
            match fetched {
                Ok(snapshot) => {
                    reading.failures = 0;
                    reading.last = self.take(snapshot, &mut reading).await.or_else(|| self.served());
                }
                Err(error) => {
                    reading.failures = reading.failures.saturating_add(1);
                    self.unreadable(&error, reading.failures);
                }
            }
            let wait = self.wait(reading.failures);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(order) = self.orders.recv() => self.steer(order, &mut reading).await,
                () = self.wake.notified() => debug!("the source says that it changed"),
                () = sleep(wait) => {}
            }
        }
    }

    /// True where what is served was read from another folder of its revision: then it is not what that revision says here.
    async fn is_of_another_folder(&self) -> bool {
        if self.state.borrow().steering.pin.is_some() {
            return false;
        }
        let folder = self.store.meta(FOLDER).await.unwrap_or_else(|error| {
            warn!(error = %chain(&error), "it is not readable in the state file which folder was served");
            None
        });
        let Some(folder) = folder.filter(|folder| *folder != self.folder) else { return false };
        info!(
            before = folder,
            now = self.folder,
            "the inventory is in another folder; its newest revision is read again"
        );
        true
    }

    fn wait(&self, failures: u32) -> Duration {
        let WatcherSettings { poll, retry_max, .. } = self.settings;
        let base = match failures {
            0 => poll,
            _ => backoff(failures, RETRY_FIRST, retry_max),
        };
        base.mul_f64(fastrand::f64().mul_add(2.0 * JITTER, 1.0 - JITTER))
    }

    /// Takes what was read. Returns the revision that needs no second reading; none where it must be read again.
    async fn take(&self, snapshot: Snapshot, reading: &mut Reading) -> Option<Revision> {
        let Snapshot { info, files, moved, messages, distrust } = snapshot;
        let id = info.id.clone();
        let is_served = self.served().as_ref() == Some(&id);
        if !is_served && self.state.borrow().steering.pin.is_some() {
            if files.is_some() {
                info!(revision = %id.short(), subject = info.subject, "the source has another revision; it is not followed");
            }
            self.seen(info);
            return Some(id);
        }
        if !self.is_trusted(&info, is_served, distrust.as_ref()) {
            // The next one is read as if it came after the one that is served, with every message since.
            (reading.consent, reading.held) = (None, None);
            return None;
        }
        let Some(files) = files else {
            self.seen(info);
            return Some(id);
        };
        if moved == Moved::Rewritten {
            warn!(revision = %info.id, "the branch was rewritten (force-push); following it");
            // What was allowed is no longer in its history.
            reading.consent = None;
        }
        reading.consent = messages
            .map(|messages| Consent::of(messages.iter().map(String::as_str)).and(reading.consent.unwrap_or_default()));
        reading.held = None;
        let files = Arc::new(files);
        let loaded = self.source.check(Arc::clone(&files), info.id.clone()).await;
        let Some(Loaded { desired, diagnostics }) = loaded else {
            error!(revision = %info.id, "checking the revision ended in a panic; it is refused");
            return Some(info.id);
        };
        let servable = match desired {
            Some(desired) => {
                let (files, warnings) = (Arc::clone(&files), diagnostics.clone());
                Ok(Servable { files, desired, warnings, quarantine: Vec::new() })
            }
            None => self.composed(&info, &files, &diagnostics).await,
        };
        let accepted = match servable {
            Ok(servable) if reading.allowed.as_ref() == Some(&info.id) => Ok(servable),
            Ok(servable) => self.guard(servable, reading.consent),
            Err(refusal) => Err(refusal),
        };
        match accepted {
            Ok(servable) => {
                // It allowed what has happened now, and nothing that comes later.
                reading.consent = None;
                Some(self.accept(info, servable).await)
            }
            Err(refusal) => {
                reading.held = (refusal.verb == HELD).then(|| info.id.clone());
                self.refuse(info, files, refusal, &diagnostics).await
            }
        }
    }

    /// The source was read, and its newest revision needs no look.
    fn seen(&self, newest: RevisionInfo) {
        let now = (self.clock)();
        self.state.send_modify(|state| {
            state.fetched_at = Some(now);
            state.fault = None;
            state.newest = Some(newest);
        });
    }

    async fn accept(&self, info: RevisionInfo, servable: Servable) -> Revision {
        let now = (self.clock)();
        let Servable { files, desired, warnings, quarantine } = servable;
        for warning in warnings {
            warn!(revision = %info.id.short(), "{}", warning.told(&prefix(&self.folder)));
        }
        // Durable before visible: what an edge may be made to run is in the state file first.
        let outcome = RevisionOutcome::served(quarantine.clone());
        if let Err(error) = self.store.record_revision(info.clone(), files, outcome, now).await {
            warn!(error = %chain(&error), revision = %info.id, "revision not written to the state file");
        }
        if let Err(error) = self.store.set_meta(FOLDER, self.folder.clone()).await {
            warn!(error = %chain(&error), "the inventory's folder not written to the state file");
        }
        let Desired { sites, services, backends, edges, .. } = &desired;
        info!(revision = %info.id.short(), subject = info.subject, sites = sites.len(), services = services.len(),
            backends = backends.len(), edges = edges.len(), quarantined = quarantine.len(), "revision accepted");
        tell(&info, self.state.borrow().served.as_ref(), &quarantine);
        let id = info.id.clone();
        self.state.send_modify(|state| {
            state.newest = Some(info.clone());
            state.served = Some(Served { info, desired: Arc::new(desired), quarantine: quarantine.into() });
            state.fetched_at = Some(now);
            state.fault = None;
            (state.refusal, state.refused) = (None, None);
        });
        id
    }

    async fn refuse(
        &self,
        info: RevisionInfo,
        files: Arc<FileSet>,
        refusal: Refusal,
        diagnostics: &[Diagnostic],
    ) -> Option<Revision> {
        let now = (self.clock)();
        let Refusal { verb, reason } = refusal;
        error!(revision = %info.id.short(), subject = info.subject, error = %reason, "revision {verb}; {}", self.stays());
        let outcome = if verb == HELD {
            RevisionOutcome::Held { reason: reason.clone() }
        } else {
            let errors = u32::try_from(errors(diagnostics).count()).unwrap_or(u32::MAX);
            RevisionOutcome::Rejected { errors, first: reason.clone() }
        };
        if let Err(error) = self.store.record_revision(info.clone(), files, outcome, now).await {
            warn!(error = %chain(&error), revision = %info.id, "revision not written to the state file");
        }
        let refusal = Fault {
            scope: INVENTORY,
            message: format!("revision {} is {verb}: {reason}; {}", info.id.short(), self.stays()),
            since: now,
            details: diagnostics.iter().take(DETAILS_MAX).map(|it| it.told(&prefix(&self.folder))).collect(),
        };
        let id = info.id.clone();
        let refused = Refused { revision: id.clone(), reason: format!("{verb}: {reason}") };
        self.state.send_modify(|state| {
            state.newest = Some(info);
            state.fetched_at = Some(now);
            state.fault = None;
            (state.refusal, state.refused) = (Some(refusal), Some(refused));
        });
        Some(id)
    }

    /// Last good wins: what takes out much at once is a mistake until somebody says otherwise.
    fn guard(&self, next: Servable, consent: Option<Consent>) -> Result<Servable, Refusal> {
        let served = self.state.borrow().served.as_ref().map(|served| Arc::clone(&served.desired));
        let judged = self.settings.guard.zip(served);
        let held = judged.and_then(|(guard, served)| guard.judge(&served, &next.desired, consent));
        held.map_or(Ok(next), |held| Err(Refusal { verb: HELD, reason: held.to_string() }))
    }

    /// The last good revision.
    pub(super) fn served(&self) -> Option<Revision> {
        self.state.borrow().served.as_ref().map(|served| served.info.id.clone())
    }

    /// What goes on while nothing newer can be served.
    fn stays(&self) -> &'static str {
        if self.state.borrow().served.is_some() { "the last good revision stays" } else { "nothing is served yet" }
    }

    fn unreadable(&self, error: &SourceError, failures: u32) {
        let message = chain(error);
        if failures == 1 {
            warn!(error = %message, "the source cannot be read; {}", self.stays());
        } else {
            debug!(error = %message, failures, "the source still cannot be read");
        }
        let now = (self.clock)();
        self.state.send_modify(|state| {
            // A fault that goes on keeps the moment when it began.
            let since = state.fault.as_ref().map_or(now, |fault| fault.since);
            state.fault = Some(Fault { scope: SOURCE, message, since, details: Vec::new() });
        });
    }
}

const SOURCE: &str = "source";
const INVENTORY: &str = "inventory";

/// It has errors.
const REFUSED: &str = "refused";
/// It takes out much, and nobody has said that it is meant.
const HELD: &str = "held";

/// Why a revision is not served.
struct Refusal {
    /// What it is: [`REFUSED`] or [`HELD`].
    verb: &'static str,
    reason: String,
}

/// The first of some errors of an inventory in this folder, and how many others there are.
pub(super) fn first_error(diagnostics: &[Diagnostic], folder: &str) -> String {
    let first = errors(diagnostics).next();
    first.map_or_else(|| "no desired state".to_owned(), |first| headed(first, diagnostics, folder))
}

/// One of some errors, and how many others there are.
fn headed(head: &Diagnostic, diagnostics: &[Diagnostic], folder: &str) -> String {
    let head = head.told(&prefix(folder));
    match errors(diagnostics).count() {
        0 | 1 => head,
        2 => format!("{head} (and 1 more error)"),
        more => format!("{head} (and {} more errors)", more - 1),
    }
}

fn errors(diagnostics: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
}

/// An error with its causes, for people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
