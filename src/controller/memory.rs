//! What an edge's worker remembers, and what it makes of a change that was not its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::PlanSnapshot;
use super::pooling::Pooling;
use super::refusing::Refusing;
use super::target::Target;
use crate::core::caddy::{Seen, Standing};
use crate::core::model::{Digest, Timestamp};
use crate::core::status::{Applied, EdgeReport, EdgeState};

/// Pushes to one edge within one window, at most: a commit right after another is not kept waiting, a storm of them is.
/// Every push reloads the whole Caddy, and new connections may be lost in it.
const PUSHES_PER_WINDOW: usize = 3;
/// Shortest window.
const PUSH_WINDOW_MIN: Duration = Duration::from_millis(1500);
/// The window in loads. A large configuration takes seconds to load; three pushes in twelve loads leave the edge three
/// quarters of its time.
const PUSH_WINDOW_LOADS: u32 = 12;
/// How many of its own digests a worker remembers, to tell an older configuration of its own from somebody else's.
const OWN_DIGESTS: usize = 32;

/// Looks in a row that find a change before it is called a second writer: a person edits once or twice, and gives up.
const CONTESTED: u32 = 3;

/// What a worker remembers between passes.
#[derive(Debug)]
pub(super) struct Memory {
    /// When the worker started.
    pub(super) began_at: Instant,
    /// The last configuration that the edge was seen to run by bascule's word.
    pub(super) last_good: Option<Arc<Target>>,
    /// A digest that the edge refused, which is not sent again.
    pub(super) refused: Option<Digest>,
    /// Services that it refuses, and what is there in their place.
    pub(super) refusing: Refusing,
    /// The last plan that the edge was seen to run, but for those services; none in this run.
    pub(super) taken: Option<PlanSnapshot>,
    /// A service was just held back, and the others are to be sent.
    pub(super) goes_on: bool,
    /// Digests that were sent to it, oldest first.
    pub(super) own: Vec<Digest>,
    /// Passes that failed in a row.
    pub(super) failures: u32,
    /// When the newest pushes ended, oldest first.
    pushes: VecDeque<Instant>,
    last_load: Duration,
    /// Which backends that get no traffic stay in its configuration.
    pub(super) pooling: Pooling,
    /// Looks in a row at which somebody else had changed it.
    pub(super) changes_in_a_row: u32,
    pub(super) report: EdgeReport,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            began_at: Instant::now(),
            last_good: None,
            refused: None,
            refusing: Refusing::default(),
            taken: None,
            goes_on: false,
            own: Vec::new(),
            failures: 0,
            pushes: VecDeque::new(),
            last_load: Duration::ZERO,
            pooling: Pooling::default(),
            changes_in_a_row: 0,
            report: EdgeReport::default(),
        }
    }
}

impl Memory {
    /// The first moment at which another push keeps within the rate.
    pub(super) fn next_push_at(&self) -> Instant {
        let window = self.last_load.saturating_mul(PUSH_WINDOW_LOADS).max(PUSH_WINDOW_MIN);
        match self.pushes.front() {
            Some(oldest) if self.pushes.len() == PUSHES_PER_WINDOW => *oldest + window,
            Some(_) | None => Instant::now(),
        }
    }

    /// What the edge was last seen to run; right after a start, what the state file says of it.
    pub(super) fn served_digest(&self) -> Option<Digest> {
        let applied = self.report.applied.as_ref().map(|applied| applied.digest.clone());
        applied.or_else(|| self.last_good.as_ref().map(|target| target.digest.clone()))
    }

    /// True when the edge was last seen to run `target`, and nothing has gone wrong since.
    pub(super) fn is_served(&self, target: &Target) -> bool {
        let applied = self.report.applied.as_ref();
        self.report.state == EdgeState::InSync && applied.is_some_and(|applied| applied.digest == target.digest)
    }

    /// A fault that goes on keeps the moment when it began.
    pub(super) fn fault(&mut self, state: EdgeState, message: String, now: Timestamp) {
        let since = self.report.fault.as_ref().map_or(now, |(_, since)| *since);
        self.report.state = state;
        self.report.fault = Some((message, since));
    }

    /// Adds a digest that is about to be sent.
    pub(super) fn remember_own(&mut self, digest: &Digest) {
        if self.own.len() == OWN_DIGESTS {
            self.own.remove(0);
        }
        self.own.push(digest.clone());
    }

    /// A push has ended, after Caddy took this long over it.
    pub(super) fn pushed(&mut self, load_took: Duration) {
        self.last_load = load_took;
        self.pushes.push_back(Instant::now());
        if self.pushes.len() > PUSHES_PER_WINDOW {
            self.pushes.pop_front();
        }
    }

    /// Judges what was found on an edge that was once seen to run what it should: none where nobody has touched it.
    pub(super) fn drift(&mut self, seen: &Seen) -> Option<Drift> {
        let applied = self.report.applied.as_ref()?;
        let drift = match seen.standing {
            Standing::Wanted => {
                self.changes_in_a_row = 0;
                return None;
            }
            // After a failure it may be any of what was sent.
            Standing::Own if self.failures > 0 || seen.digest == applied.digest => return None,
            Standing::Own => Drift::PutBack,
            Standing::Empty => Drift::Lost,
            Standing::Bare => Drift::Emptied,
            Standing::Foreign => Drift::Changed,
        };
        self.report.drifts += 1;
        match drift {
            // A Caddy that restarts again and again is no second writer.
            Drift::Lost | Drift::Emptied => self.changes_in_a_row = 0,
            Drift::PutBack | Drift::Changed => self.changes_in_a_row += 1,
        }
        Some(drift)
    }

    /// The edge was seen to run this.
    pub(super) fn served(&mut self, target: &Arc<Target>, now: Timestamp) {
        self.failures = 0;
        self.pooling.served(&target.digest);
        self.last_good = Some(Arc::clone(target));
        self.report.applied =
            Some(Applied { digest: target.digest.clone(), revision: target.revision.clone(), at: now });
        // The last good one is sent again where an edge has lost it, though it refused that as well: what it takes at last
        // is refused no more.
        self.refused.take_if(|refused| *refused == target.digest);
        if self.refused.is_none() {
            self.in_sync(now);
        }
    }

    /// The edge runs what it should. One that is changed again and again keeps a fault all the same.
    pub(super) fn in_sync(&mut self, now: Timestamp) {
        if self.changes_in_a_row < CONTESTED {
            self.report.state = EdgeState::InSync;
            self.report.fault = None;
            return;
        }
        let message = format!(
            "a second writer: its configuration had been changed at each of the last {} looks, and was repaired. Is another \
             controller at work on this edge?",
            self.changes_in_a_row
        );
        self.fault(EdgeState::InSync, message, now);
    }
}

/// What somebody else did to an edge, as far as its configuration tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drift {
    /// There is no configuration at all.
    Lost,
    /// There is one without apps.
    Emptied,
    /// There is one that this controller sent earlier.
    PutBack,
    /// There is one that this controller never sent.
    Changed,
}

impl Drift {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => {
                "it has no configuration: restarted without one (`caddy run --resume` keeps it), or all was deleted"
            }
            Self::Emptied => {
                "it has no apps of bascule: deleted by hand, loaded anew by somebody, or restarted with only the admin settings"
            }
            Self::PutBack => {
                "it runs an earlier configuration of ours: put back by hand, or sent by another controller"
            }
            Self::Changed => "its configuration is not one of ours: changed by hand, or by another controller",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Generation, Revision};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    /// A memory of an edge that was seen to run `two`, after `one`.
    fn settled() -> Memory {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let mut memory = Memory::default();
        memory.remember_own(&one);
        memory.remember_own(&two);
        memory.report.applied = Some(Applied { digest: two, revision: Revision::new("r"), at: NOW });
        memory
    }

    fn seen(standing: Standing, bytes: &[u8]) -> Seen {
        Seen { digest: Digest::of(bytes), standing }
    }

    #[test]
    fn a_change_by_somebody_else_is_named_as_far_as_it_tells() {
        for (standing, bytes, expected) in [
            (Standing::Wanted, &b"two"[..], None),
            (Standing::Own, b"two", None),
            (Standing::Own, b"one", Some(Drift::PutBack)),
            (Standing::Empty, b"null", Some(Drift::Lost)),
            (Standing::Bare, b"{}", Some(Drift::Emptied)),
            (Standing::Foreign, b"other", Some(Drift::Changed)),
        ] {
            let mut memory = settled();
            assert_eq!(memory.drift(&seen(standing, bytes)), expected, "{standing:?}");
            assert_eq!(memory.report.drifts, u64::from(expected.is_some()));
            assert_eq!(Memory::default().drift(&seen(standing, bytes)), None, "nothing was served before");
        }
        let mut failed = settled();
        failed.failures = 1;
        assert_eq!(
            failed.drift(&seen(Standing::Own, b"one")),
            None,
            "a push whose answer was lost may have come through"
        );
    }

    #[test]
    fn what_an_edge_takes_at_last_is_refused_no_more() {
        for (refused, expected) in [(&b"two"[..], EdgeState::InSync), (b"three", EdgeState::Stalled)] {
            let mut memory = settled();
            memory.refused = Some(Digest::of(refused));
            memory.fault(EdgeState::Stalled, "out of luck".to_owned(), NOW);
            let (bytes, digest) = (b"two".as_slice().into(), Digest::of(b"two"));
            let target = Target { bytes, digest, revision: Revision::new("r"), generation: Generation(1) };
            memory.served(&Arc::new(target), NOW);
            let is_stalled = expected == EdgeState::Stalled;
            assert_eq!((memory.report.state, memory.report.fault.is_some()), (expected, is_stalled));
            assert_eq!(memory.refused.is_some(), is_stalled);
        }
    }

    #[test]
    fn a_second_writer_is_a_fault_until_the_edge_is_left_alone() {
        let mut memory = settled();
        let has_fault = |memory: &mut Memory, standing, bytes: &[u8]| {
            memory.drift(&seen(standing, bytes));
            memory.in_sync(NOW);
            memory.report.fault.is_some()
        };
        let looks = [(Standing::Foreign, &b"x"[..]), (Standing::Own, b"one"), (Standing::Foreign, b"x")];
        assert_eq!(looks.map(|(standing, bytes)| has_fault(&mut memory, standing, bytes)), [false, false, true]);
        assert_eq!(memory.report.state, EdgeState::InSync, "it is repaired each time");
        assert!(!has_fault(&mut memory, Standing::Wanted, b"two"));
        assert!((0..9).all(|_| !has_fault(&mut memory, Standing::Empty, b"null")), "a Caddy that crashes is no writer");
    }
}
