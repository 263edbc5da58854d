//! Which statuses commits should have at a forge: snapshots in, statuses out. Nothing is sent here.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{EdgeReports, Refused, Served, SourceState};
use crate::core::model::{EdgeName, Revision, Timestamp};
use crate::core::status::{EdgeReport, EdgeState};
use crate::forge::{CommitState, CommitStatus};

/// The regard of all statuses here, where no edge is known.
const APPLIED: &str = "bascule/applied";
/// An edge that does not do as asked is waited for before anybody is told: most are back in a moment.
const PENDING_AFTER: Duration = Duration::from_secs(10);

/// What statuses are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// What the watcher knows.
    pub(super) source: &'a SourceState,
    /// How each edge stands.
    pub(super) edges: &'a EdgeReports,
    /// Statuses that were posted, of any revision.
    pub(super) posted: &'a [CommitStatus],
    /// The moment.
    pub(super) now: Timestamp,
}

/// The statuses that commits should have now. What is in none of them stays as it was posted: a commit that was applied has
/// been, whatever came after it.
pub(super) fn statuses(seen: &Seen<'_>) -> Vec<CommitStatus> {
    let served = seen.source.served.as_ref();
    let edges: BTreeSet<&EdgeName> = served.iter().flat_map(|served| served.desired.edges.keys()).collect();
    let mut wanted = Vec::new();
    if let Some(served) = served.filter(|served| is_commit(&served.info.id)) {
        let revision = &served.info.id;
        for edge in &edges {
            let report = seen.edges.get(*edge);
            wanted.extend(report.and_then(|report| of_edge(seen, served, edge, report)));
        }
        wanted.extend(mended(seen, revision, &edges));
    }
    let refused = seen.source.refusal.as_ref().and(seen.source.refused.as_ref());
    if let Some(refused) = refused.filter(|refused| is_commit(&refused.revision)) {
        wanted.extend(of_refused(refused, &edges));
    }
    wanted
}

/// A plain folder's revisions are not commits, and no forge knows them.
fn is_commit(revision: &Revision) -> bool {
    let id = revision.as_str();
    matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn context(edge: &EdgeName) -> String {
    format!("{APPLIED} ({edge})")
}

/// How the revision that is served stands at an edge; none while that is not known, and where it was applied before.
fn of_edge(seen: &Seen<'_>, served: &Served, edge: &EdgeName, report: &EdgeReport) -> Option<CommitStatus> {
    let revision = &served.info.id;
    let is_applied = report.applied.as_ref().is_some_and(|applied| applied.revision == *revision);
    let is_tried = report.planned.as_ref() == Some(revision);
    let status = |state, words: &str| Some(CommitStatus::new(revision.clone(), context(edge), state, words));
    let fault = report.fault.as_ref().map_or("it does not say why", |(message, _)| message.as_str());
    match report.state {
        EdgeState::InSync if is_applied => match &*kept_back(served, report) {
            [] => status(CommitState::Success, &format!("edge {edge} runs it")),
            [first] => status(CommitState::Failure, &format!("not all of it is served: {first}")),
            [first, rest @ ..] => {
                let words = format!("not all of it is served: {first} (and {} more)", rest.len());
                status(CommitState::Failure, &words)
            }
        },
        EdgeState::Stalled if is_tried => status(CommitState::Failure, fault),
        // In constant words: what an unreachable edge says of itself changes from try to try.
        EdgeState::Retrying if is_tried && !is_applied => {
            let is_late = report.since.is_some_and(|since| seen.now.since(since) >= PENDING_AFTER);
            is_late.then(|| {
                status(CommitState::Pending, &format!("edge {edge} does not take it yet; it is tried again"))
            })?
        }
        EdgeState::Pending | EdgeState::InSync | EdgeState::Stalled | EdgeState::Retrying => None,
    }
}

/// What an edge does not serve of a revision that was accepted: services in quarantine, and those that Caddy refuses there. A
/// commit of which something is not served is a failure, however much of it is.
fn kept_back(served: &Served, report: &EdgeReport) -> Vec<String> {
    let faulty = served.quarantine.iter().map(|it| it.fault.to_string());
    let refused = report.refused.iter().map(|it| format!("Caddy refuses service {}: {}", it.service, it.message));
    faulty.chain(refused).collect()
}

/// A revision that is refused or held is so at every edge that there is.
fn of_refused(refused: &Refused, edges: &BTreeSet<&EdgeName>) -> Vec<CommitStatus> {
    let Refused { revision, reason } = refused;
    let status = |context| CommitStatus::new(revision.clone(), context, CommitState::Failure, reason);
    if edges.is_empty() {
        return vec![status(APPLIED.to_owned())];
    }
    edges.iter().map(|edge| status(context(edge))).collect()
}

/// What was said against a revision before it was let pass, in regards that no edge of it will speak to.
fn mended(seen: &Seen<'_>, revision: &Revision, edges: &BTreeSet<&EdgeName>) -> Vec<CommitStatus> {
    let own: BTreeSet<String> = edges.iter().map(|edge| context(edge)).collect();
    let is_left = |it: &&CommitStatus| it.revision == *revision && !own.contains(&it.context);
    let mend = |it: &CommitStatus| {
        CommitStatus::new(revision.clone(), it.context.clone(), CommitState::Success, "it is served; see its edges")
    };
    seen.posted.iter().filter(is_left).map(mend).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::inventory::{Desired, QuarantineFault, Quarantined};
    use crate::core::model::{Digest, RevisionInfo};
    use crate::core::status::{Applied, Fault, RefusedService};

    const GOOD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const BAD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn source(id: &str, edges: &[&str]) -> SourceState {
        let mut desired = Desired::empty(Revision::new(id));
        for edge in edges {
            let name: EdgeName = edge.parse().expect("a name");
            let text = format!("name: {edge}\nadmin: http://127.0.0.1:2019\nlisten: [\":80\"]\ntls: {{mode: off}}\n");
            let file = (format!("edges/{edge}.yaml"), text);
            let files = [(file.0.as_str(), file.1.as_bytes())].into_iter().collect();
            let loaded = crate::core::inventory::load(&files, Revision::new(id));
            let declared = loaded.desired.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
            desired.edges.extend(declared.edges.into_iter().filter(|(other, _)| *other == name));
        }
        let info =
            RevisionInfo { id: Revision::new(id), author: String::new(), subject: String::new(), committed_at: NOW };
        let served = Served { info, desired: Arc::new(desired), quarantine: Arc::default() };
        SourceState { served: Some(served), ..SourceState::default() }
    }

    fn refused(state: SourceState, id: &str) -> SourceState {
        let fault = Fault { scope: "inventory", message: "long".to_owned(), since: NOW, details: Vec::new() };
        let reason = "refused: sites/a.yaml:1:1: error[x]: wrong".to_owned();
        SourceState { refusal: Some(fault), refused: Some(Refused { revision: Revision::new(id), reason }), ..state }
    }

    fn report(state: EdgeState, applied: &str, planned: &str) -> EdgeReport {
        let applied = Applied { digest: Digest::of(b"a"), revision: Revision::new(applied), at: NOW };
        EdgeReport {
            state,
            since: Some(NOW),
            planned: Some(Revision::new(planned)),
            applied: Some(applied),
            fault: (state != EdgeState::InSync).then(|| ("Caddy rejected it: no".to_owned(), NOW)),
            ..EdgeReport::default()
        }
    }

    struct World {
        source: SourceState,
        reports: Vec<(&'static str, EdgeReport)>,
        posted: Vec<CommitStatus>,
        later: Duration,
    }

    impl World {
        fn new(source: SourceState, reports: Vec<(&'static str, EdgeReport)>) -> Self {
            Self { source, reports, posted: Vec::new(), later: Duration::ZERO }
        }

        #[track_caller]
        fn check(&self, expected: &[(&str, &str, &str, &str)]) {
            let edges = self.reports.iter().map(|(name, it)| (name.parse().expect("a name"), it.clone())).collect();
            let (posted, now) = (&self.posted[..], NOW.plus(self.later));
            let wanted = statuses(&Seen { source: &self.source, edges: &edges, posted, now });
            let found: Vec<_> = wanted
                .iter()
                .map(|it| (it.revision.as_str(), it.context.as_str(), it.state.as_str(), it.description()))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_edge_that_runs_a_revision_is_told_so() {
        let both = &["ovh", "zurich"];
        let in_sync = report(EdgeState::InSync, GOOD, GOOD);
        World::new(source(GOOD, both), vec![("ovh", in_sync.clone())]).check(&[(
            GOOD,
            "bascule/applied (ovh)",
            "success",
            "edge ovh runs it",
        )]);
        // What an edge that is not declared any more says, counts for nothing; nor does an older revision.
        let old = report(EdgeState::InSync, BAD, BAD);
        World::new(source(GOOD, both), vec![("ovh", old), ("gone", in_sync.clone())]).check(&[]);
        World::new(source("dir-0123", &["ovh"]), vec![("ovh", report(EdgeState::InSync, "dir-0123", "dir-0123"))])
            .check(&[]);
        World::new(SourceState::default(), vec![("ovh", in_sync)]).check(&[]);
    }

    #[test]
    fn what_an_edge_rejects_is_a_failure_of_the_revision_that_was_tried() {
        let rejected = report(EdgeState::Stalled, BAD, GOOD);
        let failure = (GOOD, "bascule/applied (ovh)", "failure", "Caddy rejected it: no");
        World::new(source(GOOD, &["ovh"]), vec![("ovh", rejected)]).check(&[failure]);
        // The next revision is accepted, and the edge has not tried it.
        World::new(source(GOOD, &["ovh"]), vec![("ovh", report(EdgeState::Stalled, BAD, BAD))]).check(&[]);
        // It runs the revision, and rejects what a verdict made of it.
        World::new(source(GOOD, &["ovh"]), vec![("ovh", report(EdgeState::Stalled, GOOD, GOOD))]).check(&[failure]);
    }

    #[test]
    fn an_edge_that_is_away_is_waited_for_before_anybody_is_told() {
        let mut world = World::new(source(GOOD, &["ovh"]), vec![("ovh", report(EdgeState::Retrying, BAD, GOOD))]);
        world.check(&[]);
        world.later = PENDING_AFTER;
        let words = "edge ovh does not take it yet; it is tried again";
        world.check(&[(GOOD, "bascule/applied (ovh)", "pending", words)]);
        // It had applied it before it went away.
        world.reports = vec![("ovh", report(EdgeState::Retrying, GOOD, GOOD))];
        world.check(&[]);
    }

    #[test]
    fn a_refused_revision_is_a_failure_at_every_edge() {
        let words = "refused: sites/a.yaml:1:1: error[x]: wrong";
        World::new(refused(source(GOOD, &["ovh", "zurich"]), BAD), Vec::new()).check(&[
            (BAD, "bascule/applied (ovh)", "failure", words),
            (BAD, "bascule/applied (zurich)", "failure", words),
        ]);
        let fresh = refused(SourceState::default(), BAD);
        World::new(fresh, Vec::new()).check(&[(BAD, "bascule/applied", "failure", words)]);
        // An operator's order has ended it.
        let mut ended = refused(source(GOOD, &["ovh"]), BAD);
        ended.refusal = None;
        World::new(ended, Vec::new()).check(&[]);
    }

    #[test]
    fn what_was_said_against_a_revision_is_taken_back_when_it_passes() {
        let failure = |context: &str| CommitStatus::new(Revision::new(GOOD), context, CommitState::Failure, "held");
        let mut world = World::new(source(GOOD, &["ovh"]), vec![("ovh", report(EdgeState::InSync, GOOD, GOOD))]);
        world.posted = ["bascule/applied", "bascule/applied (gone)", "bascule/applied (ovh)"].map(failure).to_vec();
        let (ovh, words) = ("edge ovh runs it", "it is served; see its edges");
        world.check(&[
            (GOOD, "bascule/applied (ovh)", "success", ovh),
            (GOOD, "bascule/applied", "success", words),
            (GOOD, "bascule/applied (gone)", "success", words),
        ]);
    }

    #[test]
    fn what_is_kept_back_of_a_revision_is_a_failure() {
        let quarantined = |service: &str| Quarantined {
            service: service.to_owned(),
            since: NOW,
            revision: Revision::new(GOOD),
            kept: None,
            fault: QuarantineFault {
                code: "x".to_owned(),
                file: format!("services/{service}.yaml"),
                line: Some(3),
                column: Some(1),
                message: "no".to_owned(),
                hint: None,
            },
        };
        let mut state = source(GOOD, &["ovh"]);
        let served = state.served.as_mut().expect("it is served");
        served.quarantine = [quarantined("api"), quarantined("www")].into();
        let mut world = World::new(state, vec![("ovh", report(EdgeState::InSync, GOOD, GOOD))]);
        let words = "not all of it is served: services/api.yaml:3:1: error[x]: no (and 1 more)";
        world.check(&[(GOOD, "bascule/applied (ovh)", "failure", words)]);

        world.source = source(GOOD, &["ovh"]);
        world.reports[0].1.refused.push(RefusedService {
            service: "api".parse().expect("a name"),
            since: NOW,
            revision: Revision::new(GOOD),
            kept: None,
            refused: Digest::of(b"a"),
            message: "unknown module".to_owned(),
        });
        let words = "not all of it is served: Caddy refuses service api: unknown module";
        world.check(&[(GOOD, "bascule/applied (ovh)", "failure", words)]);
    }
}
