use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::announcing::{Seen, statuses};
use super::backoff::backoff;
use super::{Clock, EdgeReports, SourceState, chain};
use crate::core::health::{EVENTS_SHOWN, Event, Subject, Verdict};
use crate::core::model::Revision;
use crate::core::status::ForgeReport;
use crate::forge::{CommitStatus, Forge, ForgeError};
use crate::store::Store;

/// Under which name the state file has what was posted.
const META: &str = "forge_statuses";
/// Statuses that are remembered: those of the newest revisions. One that is forgotten is at worst posted a second time.
const REMEMBERED: usize = 256;
/// Between two statuses: GitHub takes 80 writes a minute, of everybody with the same token.
const PACE: Duration = Duration::from_secs(1);
/// Longest sleep: some statuses come with time alone.
const LOOK: Duration = Duration::from_secs(10);
/// Wait after the first failure; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest that a forge which cannot be reached is left alone.
const RETRY_MAX: Duration = Duration::from_mins(5);
/// The longest that one is left alone which asks for it. GitHub's limits end within the hour.
const ASKED_MAX: Duration = Duration::from_hours(1);
/// Until what the forge refuses is tried again: somebody may have mended the token, or pushed the commit.
const REFUSED_WAIT: Duration = Duration::from_mins(10);

/// Tells a forge how commits stand. Nobody waits for it: it looks at the newest snapshots whenever it has time, and what has
/// come and gone meanwhile is not told.
#[derive(Debug)]
pub struct Announcer {
    /// Where it is told.
    pub forge: Forge,
    /// The wall clock.
    pub clock: Clock,
    /// Where it is remembered what was told.
    pub store: Store,
    /// What the watcher knows.
    pub source: watch::Receiver<SourceState>,
    /// How each edge stands.
    pub edges: watch::Receiver<EdgeReports>,
    /// What is told of it.
    pub report: watch::Sender<Option<ForgeReport>>,
}

/// What was posted to one repository, oldest first, one for each revision and context.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Posted {
    /// API and repository: another one was told nothing.
    place: String,
    statuses: Vec<CommitStatus>,
}

impl Posted {
    fn has(&self, status: &CommitStatus) -> bool {
        self.statuses.contains(status)
    }

    fn remember(&mut self, status: CommitStatus) {
        self.statuses.retain(|it| it.revision != status.revision || it.context != status.context);
        self.statuses.push(status);
        let excess = self.statuses.len().saturating_sub(REMEMBERED);
        self.statuses.drain(..excess);
    }
}

/// When what is asked again.
#[derive(Debug, Default)]
struct Tries {
    /// Failures in a row.
    failures: u32,
    /// Until then the forge is left alone.
    all: Option<Instant>,
    /// Until then these are: the forge will not have them. Only what is wanted is here, so it is bounded.
    single: BTreeMap<(Revision, String), Instant>,
}

impl Tries {
    /// What may be posted now, or when to look again.
    fn next<'a>(&mut self, due: &'a [CommitStatus], now: Instant) -> Result<&'a CommitStatus, Instant> {
        self.single.retain(|_, until| *until > now);
        let again = now + LOOK;
        if let Some(until) = self.all.filter(|until| *until > now) {
            return Err(until.min(again));
        }
        let is_free = |it: &&CommitStatus| !self.single.contains_key(&(it.revision.clone(), it.context.clone()));
        due.iter().find(is_free).ok_or_else(|| self.single.values().min().copied().unwrap_or(again).min(again))
    }

    fn failed(&mut self, status: &CommitStatus, error: &ForgeError, now: Instant) {
        if error.is_of_what_was_asked() {
            self.single.insert((status.revision.clone(), status.context.clone()), now + REFUSED_WAIT);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        // Also for a token that is refused: it is read at each request, and may be another one by then.
        let own = backoff(self.failures, RETRY_FIRST, RETRY_MAX).mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        let wait = error.wait().map_or(own, |asked| asked.min(ASKED_MAX).max(own));
        self.all = Some(now + wait);
    }
}

impl Announcer {
    /// Runs until shutdown. What is under way then is cut off: it is posted again at the next start, if it still holds.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut posted = self.recall().await;
        let mut told = self.recall_event().await;
        let mut tries = Tries::default();
        self.report(|_| ());
        loop {
            let due = self.due(&posted);
            if due.is_empty() && tries.all.is_none_or(|until| until <= Instant::now()) {
                tries = Tries::default();
            }
            self.report(|report| {
                report.waiting = due.len();
                report.fault.take_if(|_| tries.failures == 0 && tries.single.is_empty());
            });
            let status = match tries.next(&due, Instant::now()) {
                Ok(status) => status,
                Err(until) => {
                    tokio::select! {
                        biased;
                        () = shutdown.cancelled() => return,
                        changed = self.source.changed() => if changed.is_err() { return },
                        changed = self.edges.changed() => if changed.is_err() { return },
                        () = sleep_until(until) => {}
                    }
                    continue;
                }
            };
            let result = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                result = self.forge.set_status(status) => result,
            };
            match result {
                Ok(()) => {
                    tries = Tries { single: std::mem::take(&mut tries.single), ..Tries::default() };
                    self.posted(status, &mut posted).await;
                    // What it will not have is a fault as long as it is wanted.
                    if told != Verdict::Up && tries.single.is_empty() {
                        self.tell(&mut told, Verdict::Up, "statuses of commits are posted again".to_owned()).await;
                    }
                }
                Err(error) => {
                    tries.failed(status, &error, Instant::now());
                    self.failed(status, &error, tries.failures, &mut told).await;
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = sleep(PACE) => {}
            }
        }
    }

    /// What the forge should be told and was not.
    fn due(&mut self, posted: &Posted) -> Vec<CommitStatus> {
        let source = self.source.borrow_and_update();
        let edges = self.edges.borrow_and_update();
        let seen = Seen { source: &source, edges: &edges, posted: &posted.statuses, now: (self.clock)() };
        statuses(&seen).into_iter().filter(|status| !posted.has(status)).collect()
    }

    async fn posted(&self, status: &CommitStatus, posted: &mut Posted) {
        let now = (self.clock)();
        let (revision, context) = (status.revision.short(), &status.context);
        info!(revision, context, state = status.state.as_str(), "status posted");
        posted.remember(status.clone());
        self.report(|report| {
            report.posted += 1;
            report.posted_at = Some(now);
        });
        let text = match serde_json::to_string(posted) {
            Ok(text) => text,
            Err(error) => {
                warn!(%error, "what was posted cannot be written down");
                return;
            }
        };
        if let Err(error) = self.store.set_meta(META, text).await {
            warn!(error = %chain(&error), "what was posted not written to the state file; it may be posted again");
        }
    }

    async fn failed(&self, status: &CommitStatus, error: &ForgeError, failures: u32, told: &mut Verdict) {
        let now = (self.clock)();
        let message = chain(error);
        let (revision, context) = (status.revision.short(), &status.context);
        debug!(revision, context, failures, error = %message, "status not posted");
        self.report(|report| {
            // A fault that goes on keeps the moment when it began.
            let since = report.fault.as_ref().map_or(now, |(_, since)| *since);
            report.fault = Some((message.clone(), since));
        });
        if *told != Verdict::Down {
            warn!(revision, context, error = %message, "status not posted; it is tried again");
            self.tell(told, Verdict::Down, message).await;
        }
    }

    /// One event for a forge that cannot be told anything, and one for when it can be again.
    async fn tell(&self, told: &mut Verdict, to: Verdict, cause: String) {
        // That all is well is no news at the start.
        let from = std::mem::replace(told, to);
        if from == Verdict::Unknown && to == Verdict::Up {
            return;
        }
        let event = Event { at: (self.clock)(), subject: Subject::Forge, from, to, cause, backends: 0 };
        self.report(|report| {
            report.events.insert(0, event.clone());
            report.events.truncate(EVENTS_SHOWN);
        });
        if let Err(error) = self.store.record_events(vec![event]).await {
            warn!(error = %chain(&error), "events not written to the state file");
        }
    }

    fn report(&self, change: impl FnOnce(&mut ForgeReport)) {
        self.report.send_modify(|report| {
            let settings = self.forge.settings();
            change(report.get_or_insert_with(|| ForgeReport {
                forge: settings.kind.to_string(),
                repository: settings.repository.clone(),
                ..ForgeReport::default()
            }));
        });
    }

    fn place(&self) -> String {
        let settings = self.forge.settings();
        format!("{} {}", settings.api(), settings.repository)
    }

    async fn recall(&self) -> Posted {
        let place = self.place();
        let fresh = || Posted { place: place.clone(), statuses: Vec::new() };
        match self.store.meta(META).await {
            // One that another bascule wrote, and this one does not understand, is as good as none.
            Ok(text) => text
                .and_then(|text| serde_json::from_str::<Posted>(&text).ok())
                .filter(|posted| posted.place == place)
                .unwrap_or_else(fresh),
            Err(error) => {
                warn!(error = %chain(&error), "what was posted is not readable in the state file; it may be posted again");
                fresh()
            }
        }
    }

    async fn recall_event(&self) -> Verdict {
        match self.store.events(Some(Subject::Forge), 1).await {
            Ok(events) => events.first().map_or(Verdict::Unknown, |event| event.to),
            Err(_) => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{CommitState, ForgeKind};

    fn status(revision: &str, context: &str, state: CommitState) -> CommitStatus {
        CommitStatus::new(Revision::new(revision), context, state, "")
    }

    #[test]
    fn what_is_remembered_is_the_newest_of_each_and_bounded() {
        let mut posted = Posted::default();
        let (first, second) = (status("a", "c", CommitState::Failure), status("a", "c", CommitState::Success));
        posted.remember(first.clone());
        posted.remember(status("b", "c", CommitState::Success));
        posted.remember(second.clone());
        assert!(posted.has(&second) && !posted.has(&first));
        for number in 0..1000 {
            posted.remember(status(&number.to_string(), "c", CommitState::Success));
        }
        assert_eq!(posted.statuses.len(), REMEMBERED);
        assert!(posted.has(&status("999", "c", CommitState::Success)) && !posted.has(&second));
    }

    #[test]
    fn what_the_forge_will_not_have_does_not_hold_up_the_rest() {
        let mut tries = Tries::default();
        let now = Instant::now();
        let due = [status("a", "c", CommitState::Success), status("b", "c", CommitState::Success)];
        let (kind, host) = (ForgeKind::Github, String::new());
        let refused = |status| ForgeError::Refused {
            kind,
            host: host.clone(),
            deed: crate::forge::Deed::Status,
            status,
            message: String::new(),
            cure: String::new(),
        };
        assert_eq!(tries.next(&due, now), Ok(&due[0]));
        tries.failed(&due[0], &refused(422), now);
        assert_eq!(tries.next(&due, now), Ok(&due[1]), "the other one is posted");
        tries.failed(&due[1], &refused(403), now);
        assert!(tries.next(&due, now).is_err(), "the token is refused: nothing is");
        assert_eq!(tries.next(&due, now + RETRY_FIRST), Ok(&due[1]), "and soon again: it may be another token by then");
        assert_eq!(tries.next(&due, now + REFUSED_WAIT), Ok(&due[0]));
    }

    #[test]
    fn a_forge_is_left_alone_for_as_long_as_it_asks() {
        let due = [status("a", "c", CommitState::Success)];
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let limited = |wait| ForgeError::Limited {
            kind: ForgeKind::Github,
            host: String::new(),
            status: 429,
            message: String::new(),
            wait,
        };
        for (asked, waits) in [(2 * minute, 2 * minute), (300 * minute, ASKED_MAX)] {
            let mut tries = Tries::default();
            tries.failed(&due[0], &limited(asked), now);
            assert!(tries.next(&due, now + waits - Duration::from_secs(1)).is_err());
            assert_eq!(tries.next(&due, now + waits), Ok(&due[0]));
        }
        // Without a word of it, longer each time, and never for good.
        let mut tries = Tries::default();
        for _ in 0..40 {
            let timeout = ForgeError::Timeout { kind: ForgeKind::Github, host: String::new(), limit: minute };
            tries.failed(&due[0], &timeout, now);
        }
        assert!(tries.next(&due, now + Duration::from_mins(2)).is_err());
        assert_eq!(tries.next(&due, now + RETRY_MAX), Ok(&due[0]));
    }
}
