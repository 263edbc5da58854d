use std::time::Duration;

use super::BackendHealth;
use crate::core::inventory::Probe;
use crate::core::model::Timestamp;

/// An observation is old when so many probes in a row should have told something newer and have not.
const MISSED_PROBES: u32 = 3;

/// How much the newest observation of something is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// There is none.
    Never,
    /// It is as new as it should be.
    Fresh,
    /// It is older than that. The last verdict stays for some time, and is then no longer believed; either way nobody knows
    /// how things stand.
    Stale,
}

impl Freshness {
    /// Of an observation made at a moment, where the next one is due after `bound`.
    pub fn of(observed_at: Option<Timestamp>, now: Timestamp, bound: Duration) -> Self {
        match observed_at {
            None => Self::Never,
            Some(at) if now.since(at) > bound => Self::Stale,
            Some(_) => Self::Fresh,
        }
    }

    /// Of what is known of a backend.
    pub fn of_backend(health: &BackendHealth, probe: &Probe, now: Timestamp) -> Self {
        let bound = probe.interval.saturating_mul(MISSED_PROBES) + probe.timeout;
        Self::of(health.last.as_ref().map(|last| last.at), now, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overdue_is_stale() {
        let at = Timestamp::from_unix_millis;
        let bound = Duration::from_secs(7);
        for (seen, now, expected) in [
            (None, 9_000, Freshness::Never),
            (Some(1_000), 8_000, Freshness::Fresh),
            (Some(1_000), 8_001, Freshness::Stale),
            (Some(9_000), 1_000, Freshness::Fresh),
        ] {
            assert_eq!(Freshness::of(seen.map(at), at(now), bound), expected, "{seen:?} at {now}");
        }
    }
}
