use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Admin, AdminError, FaultClass};
use crate::core::caddy::{Actual, Seen, compare};
use crate::core::model::{Digest, Timestamp};

/// Tells the time. A parameter, so that a simulation can tell its own.
pub type Clock = fn() -> Timestamp;

/// How long one apply goes on trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplySettings {
    /// Writes that a second writer may spoil before the apply gives up.
    pub writes_max: u32,
    /// Reads after a write, until one is answered. Caddy's admin server restarts at every load, and a connection made just
    /// then is refused or dropped.
    pub read_backs_max: u32,
    /// Pause before the second of them. It doubles each time.
    pub read_back_pause: Duration,
}

impl Default for ApplySettings {
    fn default() -> Self {
        // Five pauses from 20 ms are 620 ms together; the restart takes a few milliseconds.
        Self { writes_max: 3, read_backs_max: 6, read_back_pause: Duration::from_millis(20) }
    }
}

/// What one apply is to bring about.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The wanted configuration. An `admin` section in it is ignored: the edge keeps its own.
    pub rendered: &'a Value,
    /// What the edge is given instead where it does not run `rendered` already; none: `rendered` itself.
    pub instead: Option<&'a Value>,
    /// Digests that were pushed to this edge before, to tell bascule's own earlier configuration from somebody else's.
    pub own: &'a [Digest],
}

/// What one apply did, and what it found.
#[derive(Debug)]
pub struct ApplyReport {
    /// How it ended.
    pub outcome: Outcome,
    /// Identity of the wanted configuration: the ordered one, or the one in its place.
    pub wanted: Digest,
    /// What the edge ran at first; none where it could not be read.
    pub before: Option<Seen>,
    /// Writes refused because a second writer had been there since the read.
    pub conflicts: u32,
    /// Writes sent.
    pub writes: u32,
    /// The fault that hid the answer to the last write. Set when the edge had to be asked what came of it.
    pub lost_answer: Option<AdminError>,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took altogether.
    pub took: Duration,
    /// How long Caddy took over the last write; none where nothing was sent.
    pub load_took: Option<Duration>,
}

/// How an apply ended.
#[derive(Debug)]
pub enum Outcome {
    /// The edge already ran it.
    Unchanged,
    /// The edge was read back and runs it now.
    Applied,
    /// Caddy will not run it and goes on with what it had.
    Rejected {
        /// Status of the answer.
        status: u16,
        /// Caddy's own words.
        message: String,
    },
    /// A second writer spoiled every write; `conflicts` counts them.
    Conflict,
    /// After the write the edge runs neither this nor what it ran before: somebody wrote in between.
    Drifted {
        /// What was read back.
        seen: Seen,
    },
    /// The edge may run it, but could not be read back.
    Unverified {
        /// What the reading back failed of.
        error: AdminError,
    },
    /// As far as known, the edge runs what it ran before.
    Failed {
        /// What went wrong.
        error: AdminError,
    },
}

impl Outcome {
    /// True where the edge is known to run the wanted configuration.
    pub fn is_served(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Applied)
    }
}

/// Makes an edge run `order.rendered`: read, compare, write if there is a difference, read back, compare.
///
/// One pass. Whether and when to try again is the caller's affair.
pub async fn apply<A: Admin>(admin: &A, order: Order<'_>, settings: &ApplySettings, clock: Clock) -> ApplyReport {
    let Order { rendered, instead, own } = order;
    // The wall clock dates, a clock that nobody sets measures: the pace of pushes follows the time that a load takes.
    let (began_at, began) = (clock(), Instant::now());
    let wanted = compare::digest(rendered);
    let mut pass = Pass { admin, rendered, instead, wanted, own, settings, found: Found::default() };
    let outcome = pass.run().await;
    let Pass { wanted, found, .. } = pass;
    let Found { before, conflicts, writes, lost_answer, load_took } = found;
    let took = began.elapsed();
    ApplyReport { outcome, wanted, before, conflicts, writes, lost_answer, began_at, took, load_took }
}

/// One apply under way.
struct Pass<'a, A> {
    admin: &'a A,
    rendered: &'a Value,
    instead: Option<&'a Value>,
    wanted: Digest,
    own: &'a [Digest],
    settings: &'a ApplySettings,
    found: Found,
}

/// What a pass learns for its report.
#[derive(Default)]
struct Found {
    before: Option<Seen>,
    conflicts: u32,
    writes: u32,
    lost_answer: Option<AdminError>,
    load_took: Option<Duration>,
}

impl<A: Admin> Pass<'_, A> {
    async fn run(&mut self) -> Outcome {
        let mut actual = match self.admin.read().await {
            Ok(actual) => actual,
            Err(error) => return Outcome::Failed { error },
        };
        self.found.before = Some(self.judge(&actual));
        if let Some(instead) = self.instead.take().filter(|_| !compare::same(&actual.config, self.rendered)) {
            (self.rendered, self.wanted) = (instead, compare::digest(instead));
        }
        loop {
            if compare::same(&actual.config, self.rendered) {
                return Outcome::Unchanged;
            }
            match self.write(&actual).await {
                Ok(()) => return self.verify().await,
                Err(AdminError::Rejected { status, message, .. }) => return Outcome::Rejected { status, message },
                Err(error) if error.class() == FaultClass::UnknownOutcome => {
                    return self.find_out(&actual, error).await;
                }
                Err(AdminError::Conflict { .. }) => self.found.conflicts += 1,
                Err(error) => return Outcome::Failed { error },
            }
            if self.found.writes >= self.settings.writes_max {
                return Outcome::Conflict;
            }
            actual = match self.read_settled().await {
                Ok(actual) => actual,
                Err(error) => return Outcome::Failed { error },
            };
        }
    }

    async fn write(&mut self, actual: &Actual) -> Result<(), AdminError> {
        let pushed = compare::with_admin_of(self.rendered, &actual.config);
        self.found.writes += 1;
        let sent = Instant::now();
        let result = self.admin.replace(pushed.to_string().into_bytes(), &actual.etag).await;
        self.found.load_took = Some(sent.elapsed());
        result
    }

    /// Caddy said yes: does it run it?
    async fn verify(&self) -> Outcome {
        match self.read_settled().await {
            Ok(actual) if compare::same(&actual.config, self.rendered) => Outcome::Applied,
            Ok(actual) => Outcome::Drifted { seen: self.judge(&actual) },
            Err(error) => Outcome::Unverified { error },
        }
    }

    /// Caddy's answer was lost. What it runs now decides.
    async fn find_out(&mut self, before: &Actual, lost: AdminError) -> Outcome {
        match self.read_settled().await {
            // Caddy answers a read only after a load under way is over, so this is what came of the write.
            Ok(actual) if compare::same(&actual.config, &before.config) => Outcome::Failed { error: lost },
            Ok(actual) => {
                self.found.lost_answer = Some(lost);
                if compare::same(&actual.config, self.rendered) {
                    Outcome::Applied
                } else {
                    Outcome::Drifted { seen: self.judge(&actual) }
                }
            }
            Err(error) => {
                self.found.lost_answer = Some(lost);
                Outcome::Unverified { error }
            }
        }
    }

    /// Reads once the admin server has come back from a load.
    async fn read_settled(&self) -> Result<Actual, AdminError> {
        let mut pause = self.settings.read_back_pause;
        for _ in 1..self.settings.read_backs_max {
            match self.admin.read().await {
                // A timeout is not repeated: it has already waited for longer than any restart takes.
                Err(AdminError::Unreachable { .. } | AdminError::Broken { .. }) => {}
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.admin.read().await
    }

    fn judge(&self, actual: &Actual) -> Seen {
        Seen::judge(&actual.config, &self.wanted, self.own)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, Ordering};

    use serde_json::json;

    use super::*;

    /// An edge whose loads take a second, in which the wall clock is set forward by an hour.
    struct SlowEdge(Mutex<Value>);

    static WALL: AtomicI64 = AtomicI64::new(0);

    impl Admin for SlowEdge {
        async fn read(&self) -> Result<Actual, AdminError> {
            Ok(Actual { config: self.0.lock().expect("one task").clone(), etag: String::new() })
        }

        async fn replace(&self, config: Vec<u8>, _etag: &str) -> Result<(), AdminError> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            WALL.fetch_add(3_600_000, Ordering::Relaxed);
            *self.0.lock().expect("one task") = serde_json::from_slice(&config).expect("JSON");
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_makes_no_load_long() {
        let edge = SlowEdge(Mutex::new(Value::Null));
        let rendered = json!({"apps": {}});
        let order = Order { rendered: &rendered, instead: None, own: &[] };
        let clock = || Timestamp::from_unix_millis(WALL.load(Ordering::Relaxed));
        let report = apply(&edge, order, &ApplySettings::default(), clock).await;
        assert!(matches!(report.outcome, Outcome::Applied));
        assert_eq!((report.load_took, report.took), (Some(Duration::from_secs(1)), Duration::from_secs(1)));
    }
}
