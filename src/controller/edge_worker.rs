mod recording;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::recording::store_outcome;
use super::backoff::backoff;
use super::debounce::Debounce;
use super::memory::Memory;
use super::target::Target;
use super::watcher::chain;
use super::{Clock, EdgeReports, PlanSnapshot, RelayLog};
use crate::core::inventory::Edge;
use crate::core::model::{Digest, Timestamp};
use crate::core::status::{EdgeReport, EdgeState, RelayState};
use crate::edge::{Admin, ApplyReport, ApplySettings, Order, Outcome, apply};
use crate::store::{ApplyOutcome, Store};

/// How an edge is driven.
#[derive(Debug, Clone, Copy)]
pub struct EdgeSettings {
    /// How changes of plan are gathered before a push.
    pub debounce: Debounce,
    /// Time between two looks at an edge that is as it should be.
    pub resync: Duration,
    /// First wait before an edge that failed is tried again; it doubles.
    pub retry_first: Duration,
    /// Longest wait before an edge that failed is tried again.
    pub retry_max: Duration,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            // Two files of one save, or two verdicts of one cut, fall within the quiet time; a person does not notice it.
            debounce: Debounce { quiet: Duration::from_millis(50), ceiling: Duration::from_secs(1) },
            resync: Duration::from_secs(10),
            retry_first: Duration::from_millis(250),
            // An edge that is back after an hour is configured as soon as one that is back after a minute; a try costs one
            // refused connection.
            retry_max: Duration::from_secs(2),
        }
    }
}

/// A relay that has not asked for so long does not work (or has nothing to ask), and every observed change is pushed. Some
/// checks of the longest interval.
const RELAY_SILENT: Duration = Duration::from_mins(1);

/// Time after a start in which a relay may not have asked yet.
const RELAY_GRACE: Duration = Duration::from_secs(5);

/// Keeps one edge at the newest plan.
pub(super) struct EdgeWorker<A> {
    pub(super) edge: Arc<Edge>,
    pub(super) admin: A,
    pub(super) settings: EdgeSettings,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) plans: watch::Receiver<Option<PlanSnapshot>>,
    pub(super) reports: watch::Sender<EdgeReports>,
    pub(super) heard: Arc<RelayLog>,
    /// Says that the edge is to be looked at now.
    pub(super) look: Arc<Notify>,
}

/// Why a pass is made. Only reported; the pass reads the newest plan and the edge either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Plan,
    Resync,
    Retry,
}

impl Trigger {
    /// Of a look at the edge, at its time or by order.
    const fn of_look(memory: &Memory) -> Self {
        if memory.failures > 0 { Self::Retry } else { Self::Resync }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Resync => "resync",
            Self::Retry => "retry",
        }
    }
}

impl<A: Admin> EdgeWorker<A> {
    /// Runs until shutdown.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut memory = self.recall().await;
        self.recall_refused(&mut memory).await;
        // When to look at the edge, whatever plans come meanwhile.
        let mut look_at = None;
        self.plans.mark_changed();
        loop {
            let mut trigger = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = self.plans.changed() => {
                    if changed.is_err() { break }
                    Trigger::Plan
                }
                () = self.look.notified() => Trigger::of_look(&memory),
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                    Trigger::of_look(&memory)
                }
            };
            let ready = async {
                if trigger == Trigger::Plan && memory.last_good.is_some() {
                    self.settings.debounce.gather(&mut self.plans).await;
                }
                if trigger == Trigger::Plan {
                    sleep_until(memory.next_push_at()).await;
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = ready => {}
            }
            let snapshot = self.plans.borrow_and_update().clone();
            if let Some(snapshot) = snapshot {
                // A pass is not cut off by shutdown: it has deadlines of its own, and a push half done would not be recorded.
                if trigger == Trigger::Plan && look_at.is_some_and(|at| at <= Instant::now()) {
                    trigger = Trigger::Resync;
                }
                // Its own time to look is over in any case, even where there was nothing to ask the edge for.
                if self.pass(&mut memory, &snapshot, trigger).await || trigger != Trigger::Plan || look_at.is_none() {
                    look_at = Some(Instant::now() + self.wait(&memory));
                }
                if std::mem::take(&mut memory.goes_on) {
                    // Through the pace of pushes, as for any other plan.
                    self.plans.mark_changed();
                }
            }
        }
    }

    /// True when the edge's relay asks bascule, so that verdicts act without a push. Right after a start it is taken to, if
    /// the edge was configured for it: a verdict of the first moments is then no reason for a push.
    fn is_relay_working(&self, memory: &Memory) -> bool {
        match self.heard.last(&self.edge.name) {
            Some(at) => at.elapsed() < RELAY_SILENT,
            None => self.edge.relay.is_some() && memory.began_at.elapsed() < RELAY_GRACE,
        }
    }

    /// What the state file knows of this edge: its last good configuration, to go back to when the next is refused.
    async fn recall(&self) -> Memory {
        let mut memory = Memory::default();
        let last = match self.store.last_applied(self.edge.name.clone()).await {
            Ok(Some(last)) => last,
            Ok(None) => return memory,
            Err(error) => {
                warn!(edge = %self.edge.name, error = %chain(&error), "the edge's past is not readable in the state file");
                return memory;
            }
        };
        if let Ok(Some(bytes)) = self.store.rendered(last.digest.clone()).await
            && Target::is_readable(&bytes)
        {
            memory.own.push(last.digest.clone());
            let target = Target {
                bytes: bytes.into(),
                digest: last.digest,
                revision: last.revision,
                generation: last.generation,
            };
            memory.last_good = Some(Arc::new(target));
        }
        memory
    }

    fn wait(&self, memory: &Memory) -> Duration {
        let EdgeSettings { debounce: _, resync, retry_first, retry_max } = self.settings;
        if memory.failures == 0 {
            return resync;
        }
        // Jitter down to half: edges that failed together are not asked together.
        backoff(memory.failures, retry_first, retry_max).mul_f64(fastrand::f64().mul_add(0.5, 0.5))
    }

    /// One pass. True where the edge was asked what it runs.
    async fn pass(&self, memory: &mut Memory, snapshot: &PlanSnapshot, trigger: Trigger) -> bool {
        let is_asked = self.is_relay_working(memory);
        memory.report.relay =
            self.edge.relay.as_ref().map(|_| if is_asked { RelayState::Asked } else { RelayState::Silent });
        let now = Instant::now();
        let served = memory.served_digest();
        let effective = memory.refusing.effective(&snapshot.plan.effective);
        let rendering = memory.pooling.render(&effective, &self.edge, is_asked, served.as_ref(), now);
        let wanted = Target::of(rendering, &snapshot.plan);
        let digest = wanted.digest.clone();
        memory.report.rendered = Some(digest.clone());
        memory.report.planned = Some(snapshot.plan.revision.clone());
        let instead = memory.pooling.instead(&effective, &self.edge);
        let instead = instead.map(|rendering| Target::of(rendering, &snapshot.plan));
        let refused = memory.refused.as_ref();
        let is_refused = [Some(&wanted), instead.as_ref()].into_iter().flatten().any(|it| refused == Some(&it.digest));
        if !is_refused {
            memory.refused = None;
        }
        // Last good wins: while the wanted configuration is refused, the one before it is what the edge is kept at.
        let target = if is_refused { memory.last_good.clone() } else { Some(Arc::clone(&wanted)) };
        let Some(target) = target else {
            self.publish(memory);
            return false;
        };
        if trigger == Trigger::Plan && memory.failures == 0 && memory.is_served(&target) {
            debug!(edge = %self.edge.name, %digest, "plan changes nothing at this edge");
            self.adopt(memory, &target).await;
            self.took(memory, snapshot).await;
            if self.look_at_leaving(memory, &snapshot.plan, false).await {
                self.publish(memory);
            }
            return false;
        }
        let instead = instead.filter(|_| !is_refused);
        for target in [Some(&target), instead.as_ref()].into_iter().flatten() {
            if !memory.own.contains(&target.digest) {
                self.record_render(target).await;
                memory.remember_own(&target.digest);
            }
        }
        let (config, other) = (target.config(), instead.as_ref().map(|instead| instead.config()));
        let order = Order { rendered: &config, instead: other.as_ref(), own: &memory.own };
        let report = apply(&self.admin, order, &ApplySettings::default(), self.clock).await;
        let target = instead.filter(|instead| instead.digest == report.wanted).unwrap_or(target);
        if !is_refused {
            memory.report.rendered = Some(target.digest.clone());
        }
        let (is_served, has_pushed) = (report.outcome.is_served(), report.writes > 0);
        if let Outcome::Rejected { message, .. } = &report.outcome
            && !is_refused
        {
            memory.goes_on = self.hold_back(memory, snapshot, &target, message).await;
        }
        // What it no longer refuses is told no later than what it runs.
        if is_served && !is_refused {
            self.took(memory, snapshot).await;
        }
        self.conclude(memory, &target, report, trigger).await;
        if is_served && self.look_at_leaving(memory, &snapshot.plan, has_pushed).await {
            self.publish(memory);
        }
        true
    }

    /// A new revision renders to what the edge runs already: it is served from now on, and that is said.
    async fn adopt(&self, memory: &mut Memory, target: &Arc<Target>) {
        let Some(applied) = memory.report.applied.as_mut().filter(|applied| applied.revision != target.revision) else {
            return;
        };
        applied.revision = target.revision.clone();
        memory.last_good = Some(Arc::clone(target));
        self.publish(memory);
        let now = (self.clock)();
        self.record_apply(target, ApplyOutcome::Unchanged, Trigger::Plan, (now, now)).await;
    }

    /// Takes the result of a pass into memory, the log, the state file and the status, in this order of haste: what is
    /// remembered and reported is what the edge was seen to do.
    async fn conclude(&self, memory: &mut Memory, target: &Arc<Target>, report: ApplyReport, trigger: Trigger) {
        let now = (self.clock)();
        let edge = &self.edge.name;
        let ApplyReport { outcome, before, conflicts, writes, load_took, began_at, .. } = &report;
        memory.report.pushes += u64::from(*writes);
        if let Some(load_took) = load_took {
            memory.pushed(*load_took);
        }
        if *conflicts > 0 {
            warn!(%edge, conflicts, "a second writer changed this edge meanwhile");
        }
        if let Some(drift) = before.as_ref().and_then(|seen| memory.drift(seen)) {
            warn!(%edge, drift = drift.as_str(), in_a_row = memory.changes_in_a_row, "the edge does not run what it was last seen to run");
        }
        let is_news = memory.report.applied.as_ref().is_none_or(|applied| applied.revision != target.revision);
        match outcome {
            Outcome::Unchanged | Outcome::Applied => {
                memory.served(target, now);
            }
            Outcome::Rejected { status: _, message } => {
                memory.failures = 0;
                memory.refused = Some(target.digest.clone());
                if memory.goes_on {
                    let message = format!("Caddy rejected one service, and the others are sent without it: {message}");
                    memory.fault(EdgeState::Retrying, message, now);
                } else {
                    let message = format!("Caddy rejected the configuration and keeps the one before: {message}");
                    error!(%edge, wanted = %target.digest, revision = %target.revision, error = %message, "edge stalled");
                    memory.fault(EdgeState::Stalled, message, now);
                }
            }
            Outcome::Conflict | Outcome::Drifted { .. } | Outcome::Unverified { .. } | Outcome::Failed { .. } => {
                self.failed(memory, target, &report, now);
            }
        }
        self.publish(memory);
        let is_routine = matches!(outcome, Outcome::Unchanged) && trigger == Trigger::Resync && !is_news;
        if *writes > 0 {
            info!(%edge, wanted = %target.digest, runs = runs(&report), revision = %target.revision, trigger = trigger.as_str(),
                state = memory.report.state.as_str(), took_ms = report.took.as_millis(), "edge pass ended");
        }
        if !is_routine {
            self.record_apply(target, store_outcome(outcome), trigger, (*began_at, now)).await;
        }
    }

    fn failed(&self, memory: &mut Memory, target: &Target, report: &ApplyReport, now: Timestamp) {
        memory.failures = memory.failures.saturating_add(1);
        let (edge, failures, wanted, runs) = (&self.edge.name, memory.failures, target.digest.short(), runs(report));
        let message = match &report.outcome {
            Outcome::Conflict => {
                format!("a second writer changed it {} times before {wanted} was in", report.conflicts)
            }
            Outcome::Drifted { .. } => format!("it runs {runs} right after {wanted} was sent: a second writer"),
            Outcome::Unverified { error } => {
                format!("{wanted} was sent, and what it runs is not known: {}", chain(error))
            }
            Outcome::Failed { error } => chain(error),
            Outcome::Unchanged | Outcome::Applied | Outcome::Rejected { .. } => return,
        };
        if failures == 1 {
            warn!(%edge, %wanted, runs, error = %message, "edge not configured; trying again");
        } else {
            debug!(%edge, %wanted, runs, error = %message, failures, "edge not configured; trying again");
        }
        memory.fault(EdgeState::Retrying, message, now);
    }

    pub(super) fn publish(&self, memory: &Memory) {
        let now = (self.clock)();
        self.reports.send_modify(|reports| {
            let before = reports.get(&self.edge.name).filter(|before| before.state == memory.report.state);
            let since = before.and_then(|before| before.since).or(Some(now));
            reports.insert(self.edge.name.clone(), EdgeReport { since, ..memory.report.clone() });
        });
    }
}

/// What the edge runs after a pass, as far as it was seen, for people.
fn runs(report: &ApplyReport) -> &str {
    let digest = match &report.outcome {
        Outcome::Unchanged | Outcome::Applied => Some(&report.wanted),
        Outcome::Drifted { seen } => Some(&seen.digest),
        // Caddy goes on with what was there, unless a second writer has replaced it since.
        Outcome::Rejected { .. } | Outcome::Failed { .. } if report.conflicts == 0 => {
            report.before.as_ref().map(|seen| &seen.digest)
        }
        Outcome::Rejected { .. } | Outcome::Failed { .. } | Outcome::Conflict | Outcome::Unverified { .. } => None,
    };
    digest.map_or("unknown", Digest::short)
}
