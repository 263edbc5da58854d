use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{PlanSnapshot, chain};
use crate::core::health::{BackendHealth, Observed, Outcome, Verdict};
use crate::core::inventory::{Backend, Service};
use crate::core::model::BackendName;
use crate::core::routing::Effective;
use crate::core::status::SeverDto;
use crate::sever::{Severer, is_silent};

/// The shortest time in which a machine must answer a dial to count as there, whatever edges are told.
const DIAL_MIN: Duration = Duration::from_millis(300);

/// Ends connections that nobody will answer any more: those to a backend that went down in silence, when its verdict does;
/// and what is still open to one that was taken out, when its time to drain is over.
#[derive(Debug)]
pub struct Severing {
    /// What ends them.
    pub severer: Severer,
    /// What is observed.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// What should be served.
    pub plans: watch::Receiver<Option<PlanSnapshot>>,
    /// What is told of it.
    pub report: watch::Sender<Option<SeverDto>>,
}

/// Why connections are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Silent,
    Drained,
}

impl Severing {
    /// Runs until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut silent = BTreeSet::new();
        let mut drains = Drains::default();
        let mut work: JoinSet<()> = JoinSet::new();
        self.observed.mark_changed();
        self.plans.mark_changed();
        loop {
            let due_at = drains.next_at();
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = self.observed.changed() => {
                    if changed.is_err() { break }
                    let observed = Arc::clone(&self.observed.borrow_and_update());
                    let now_silent = silent_backends(&observed);
                    let news: Vec<_> = now_silent.difference(&silent).cloned().collect();
                    silent = now_silent;
                    for name in news {
                        self.sever_if_silent(&name, &mut work);
                    }
                }
                changed = self.plans.changed() => {
                    if changed.is_err() { break }
                    if let Some(snapshot) = &*self.plans.borrow_and_update() {
                        drains.follow(&snapshot.plan.effective, Instant::now());
                    }
                }
                () = sleep_until(due_at.unwrap_or_else(Instant::now)), if due_at.is_some() => {
                    for upstream in drains.due(Instant::now()) {
                        let (severer, report) = (self.severer, self.report.clone());
                        work.spawn(sever(severer, upstream, Cause::Drained, report));
                    }
                }
                Some(_) = work.join_next() => {}
            }
        }
    }

    /// Ends the connections to a backend, unless its machine answers a dial: one that only answers late, or wrongly, keeps
    /// what it works on.
    fn sever_if_silent(&self, name: &BackendName, work: &mut JoinSet<()>) {
        let Some((backend, service)) = self.declared(name) else { return };
        let (severer, report) = (self.severer, self.report.clone());
        let limit = service.timeouts.dial.max(DIAL_MIN);
        work.spawn(async move {
            if is_silent(backend.upstream(), limit).await {
                sever(severer, backend.upstream(), Cause::Silent, report).await;
            }
        });
    }

    fn declared(&self, name: &BackendName) -> Option<(Arc<Backend>, Arc<Service>)> {
        let plans = self.plans.borrow();
        let mut services = plans.as_ref()?.plan.effective.services.values();
        let found = |service: &Arc<crate::core::routing::EffectiveService>| {
            Some((Arc::clone(&service.member(name)?.backend), Arc::clone(&service.service)))
        };
        services.find_map(found)
    }
}

async fn sever(severer: Severer, upstream: SocketAddr, cause: Cause, report: watch::Sender<Option<SeverDto>>) {
    let why = match cause {
        Cause::Silent => "its machine does not answer",
        Cause::Drained => "its time to drain is over",
    };
    // It waits for the kernel.
    let severed = match spawn_blocking(move || severer.sever(upstream)).await {
        Ok(Ok(severed)) => severed,
        Ok(Err(error)) => {
            warn!(%upstream, why, error = %chain(&error), "connections not ended");
            return;
        }
        Err(error) => {
            warn!(%upstream, why, %error, "connections not ended");
            return;
        }
    };
    if severed > 0 {
        info!(%upstream, why, connections = severed, "connections ended");
    }
    report.send_modify(|report| {
        if let Some(SeverDto::On { connections }) = report {
            *connections += severed as u64;
        }
    });
}

/// The backends that are down and of which the last thing heard was nothing. Not while the prober's own network is at
/// fault: their verdicts are held then.
fn silent_backends(observed: &Observed) -> BTreeSet<BackendName> {
    let is_silent = |health: &BackendHealth| {
        let heard = health.last.as_ref().map(|last| &last.outcome);
        health.verdict == Verdict::Down
            && matches!(heard, Some(Outcome::Fail(failure)) if failure.is_out_of_reach())
            && observed.isolated_since.is_none()
    };
    observed.backends.iter().filter(|(_, health)| is_silent(health)).map(|(name, _)| name.clone()).collect()
}

/// When each address that was taken out is to have no connections any more.
#[derive(Debug, Default)]
struct Drains {
    /// The moment; none once it has passed.
    ends: BTreeMap<SocketAddr, Option<Instant>>,
    /// Every address of the plan before, with the time that its service gives.
    known: BTreeMap<SocketAddr, Duration>,
}

impl Drains {
    /// Follows a plan. What is drained when bascule starts has its whole time from then.
    fn follow(&mut self, effective: &Effective, now: Instant) {
        let mut known: BTreeMap<SocketAddr, Duration> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for service in effective.services.values() {
            for member in &service.members {
                let upstream = member.backend.upstream();
                let time = known.entry(upstream).or_default();
                *time = (*time).max(service.service.timeouts.drain);
                if !member.is_leaving() {
                    used.insert(upstream);
                }
            }
        }
        let before = std::mem::replace(&mut self.known, known);
        let gone = before.iter().chain(&self.known).filter(|(upstream, _)| !used.contains(upstream));
        for (upstream, time) in gone {
            self.ends.entry(*upstream).or_insert(Some(now + *time));
        }
        // What is through, and in no plan any more, is forgotten.
        self.ends
            .retain(|upstream, end| !used.contains(upstream) && (end.is_some() || self.known.contains_key(upstream)));
    }

    fn next_at(&self) -> Option<Instant> {
        self.ends.values().flatten().min().copied()
    }

    fn due(&mut self, now: Instant) -> Vec<SocketAddr> {
        let mut due = Vec::new();
        for (upstream, end) in &mut self.ends {
            if end.is_some_and(|end| end <= now) {
                *end = None;
                due.push(*upstream);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::inventory::load;
    use crate::core::model::{FileSet, Revision};
    use crate::core::routing::{Inputs, plan};

    /// A service with these backends (name and more), each at an address of its own.
    fn effective(backends: &[(u8, &str)]) -> Effective {
        let mut files = vec![
            ("sites/dijon.yaml".to_owned(), "name: dijon\nsubnets: [10.200.1.0/24]\n".to_owned()),
            (
                "services/api.yaml".to_owned(),
                "name: api\ndomains: [api.acecinema.fr]\ntimeouts: {drain: 10s}\n".to_owned(),
            ),
            (
                "edges/ovh.yaml".to_owned(),
                "name: ovh\nadmin: http://127.0.0.1:2019\nlisten: [\":80\"]\ntls: {mode: off}\n".to_owned(),
            ),
        ];
        for (number, more) in backends {
            let text = format!("service: api\nname: b{number}\nsite: dijon\naddr: 10.200.1.{number}\nport: 80\n{more}");
            files.push((format!("backends/b{number}.yaml"), text));
        }
        let files: FileSet = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        let loaded = load(&files, Revision::new("r"));
        let desired = loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        plan(&Inputs::declared(&desired)).effective
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_is_due_once_its_time_to_drain_is_over() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let address = |number| SocketAddr::from(([10, 200, 1, number], 80));
        let mut drains = Drains::default();
        drains.follow(&effective(&[(1, ""), (2, ""), (3, ""), (4, "")]), start);
        assert_eq!(drains.next_at(), None);
        // One is drained, one is removed, one is disabled and comes back in time.
        drains.follow(&effective(&[(1, ""), (2, "state: drain\n"), (4, "state: disabled\n")]), start + second);
        drains.follow(&effective(&[(1, ""), (2, "state: drain\n"), (4, "")]), start + 5 * second);
        assert_eq!(drains.next_at(), Some(start + 11 * second), "a later plan does not put it off");
        assert_eq!(drains.due(start + 10 * second), []);
        assert_eq!(drains.due(start + 11 * second), [address(2), address(3)]);
        drains.follow(&effective(&[(1, ""), (2, "state: drain\n"), (4, "")]), start + 20 * second);
        assert_eq!(drains.next_at(), None, "once");
        drains.follow(&effective(&[(1, ""), (2, ""), (4, "")]), start + 21 * second);
        drains.follow(&effective(&[(1, ""), (2, "state: drain\n"), (4, "")]), start + 22 * second);
        assert_eq!(drains.next_at(), Some(start + 32 * second), "drained a second time");
    }
}
