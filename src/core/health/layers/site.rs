use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::TunnelHealth;
use crate::core::health::{Freshness, Observed, Outcome, Verdict};
use crate::core::inventory::{BackendState, Desired};
use crate::core::model::{SiteName, Timestamp};

/// How a site stands, by all of its backends that are probed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SiteState {
    /// All are up.
    Up,
    /// All are down.
    Down,
    /// Neither.
    Partial,
    /// Nothing new has been heard of any for too long.
    Stale,
    /// Nothing is known of any.
    #[default]
    Unknown,
}

/// What the verdicts of a site's backends add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteCount {
    /// Backends here.
    pub backends: u32,
    /// Those that are probed.
    pub probed: u32,
    /// Those that are up.
    pub up: u32,
    /// Those that are down.
    pub down: u32,
    /// Those whose newest observation is too old.
    pub stale: u32,
    /// The longest time in which one of those that are probed is found out: an interval and a timeout.
    pub slowest: Duration,
    /// When a verdict of one of them changed last; none where none is known.
    pub since: Option<Timestamp>,
    /// When one of them was last asked.
    pub seen_at: Option<Timestamp>,
    /// When anything at the site last answered, with whatever.
    pub reached_at: Option<Timestamp>,
    /// What those that are down fail with, and how many, apart from those of which nothing comes back.
    pub(super) answers: BTreeMap<String, u32>,
}

impl SiteCount {
    /// Counts the backends of every site.
    pub fn of_all(desired: &Desired, observed: &Observed, now: Timestamp) -> BTreeMap<SiteName, Self> {
        let mut counts: BTreeMap<SiteName, Self> = BTreeMap::new();
        counts.extend(desired.sites.keys().map(|site| (site.clone(), Self::default())));
        for backend in desired.backends.values() {
            let count = counts.entry(backend.site.clone()).or_default();
            count.backends += 1;
            // Nobody probes what is disabled: it says nothing of its site.
            if backend.state == BackendState::Disabled {
                continue;
            }
            count.probed += 1;
            count.slowest = count.slowest.max(backend.probe.interval + backend.probe.timeout);
            let Some(health) = observed.backends.get(&backend.name) else { continue };
            count.up += u32::from(health.verdict == Verdict::Up);
            count.down += u32::from(health.verdict == Verdict::Down);
            count.stale += u32::from(Freshness::of_backend(health, &backend.probe, now) == Freshness::Stale);
            count.since = count.since.max(health.since);
            let Some(last) = &health.last else { continue };
            count.seen_at = count.seen_at.max(Some(last.at));
            match &last.outcome {
                Outcome::Fail(failure) if failure.is_out_of_reach() => {}
                Outcome::Fail(failure) => {
                    count.reached_at = count.reached_at.max(Some(last.at));
                    if health.verdict == Verdict::Down {
                        *count.answers.entry(failure.to_string()).or_default() += 1;
                    }
                }
                Outcome::Pass => count.reached_at = count.reached_at.max(Some(last.at)),
            }
        }
        counts
    }

    /// True where every backend that is probed is believed to be down.
    pub const fn is_down(&self) -> bool {
        self.down > 0 && self.down == self.probed
    }

    /// How the site stands.
    pub const fn state(&self) -> SiteState {
        match *self {
            Self { probed, stale, .. } if stale > 0 && stale == probed => SiteState::Stale,
            Self { up: 0, down: 0, .. } => SiteState::Unknown,
            Self { up, probed, .. } if up == probed => SiteState::Up,
            Self { down, probed, .. } if down == probed => SiteState::Down,
            Self { .. } => SiteState::Partial,
        }
    }

    /// Where the way ends, for a site that is down.
    pub fn cause(&self, tunnel: Option<&TunnelHealth>) -> Option<SiteCause> {
        if !self.is_down() {
            return None;
        }
        let commonest = self.answers.iter().max_by_key(|(_, count)| **count);
        let Some((failure, _)) = commonest else {
            return Some(match tunnel {
                Some(tunnel) if tunnel.state == Verdict::Down => SiteCause::Tunnel(tunnel.cause.clone()),
                // What came through before says nothing of now.
                Some(tunnel) if tunnel.state == Verdict::Up && tunnel.proved_at >= self.since => SiteCause::Machines,
                Some(_) => SiteCause::Undecided,
                None => SiteCause::NoTunnel,
            });
        };
        Some(SiteCause::Backends(failure.clone()))
    }
}

/// Why a site is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteCause {
    /// Nothing comes through its tunnel, with the tunnel's words.
    Tunnel(String),
    /// Its tunnel works, and no machine behind it answers.
    Machines,
    /// Its machines answer, and the backends on them do not pass; with the commonest failure.
    Backends(String),
    /// Nothing answers, and nothing has come through its tunnel since, nor has the tunnel been found to be down.
    Undecided,
    /// Nothing answers, and no tunnel is declared.
    NoTunnel,
}

impl fmt::Display for SiteCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tunnel(cause) => write!(f, "tunnel down ({cause})"),
            Self::Machines => f.write_str("site's machines down (its tunnel is up)"),
            Self::Backends(failure) => write!(f, "site's backends down (its machines are there: {failure})"),
            Self::Undecided => f.write_str("out of reach (its tunnel has not shown yet whether it is up)"),
            Self::NoTunnel => f.write_str("out of reach (no tunnel is declared that would say why)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn down(answers: &[(&str, u32)]) -> SiteCount {
        let answers = answers.iter().map(|(failure, count)| ((*failure).to_owned(), *count)).collect();
        SiteCount { backends: 4, probed: 3, down: 3, since: Some(at(100)), answers, ..SiteCount::default() }
    }

    #[test]
    fn the_cause_is_where_the_way_ends() {
        let tunnel = |state, proved_at| TunnelHealth { state, proved_at, cause: "silent".into(), ..Default::default() };
        for (count, tunnel, expected) in [
            (down(&[]), Some(tunnel(Verdict::Down, Some(at(50)))), Some(SiteCause::Tunnel("silent".to_owned()))),
            (down(&[]), Some(tunnel(Verdict::Up, Some(at(100)))), Some(SiteCause::Machines)),
            (down(&[]), Some(tunnel(Verdict::Up, Some(at(99)))), Some(SiteCause::Undecided)),
            (down(&[]), Some(tunnel(Verdict::Unknown, None)), Some(SiteCause::Undecided)),
            (down(&[]), None, Some(SiteCause::NoTunnel)),
            (
                down(&[("answered 503", 2), ("answered 500", 1)]),
                Some(tunnel(Verdict::Down, Some(at(50)))),
                Some(SiteCause::Backends("answered 503".to_owned())),
            ),
            (SiteCount { up: 1, down: 2, ..down(&[]) }, Some(tunnel(Verdict::Down, Some(at(50)))), None),
        ] {
            assert_eq!(count.cause(tunnel.as_ref()), expected, "{count:?}");
        }
    }

    #[test]
    fn a_site_is_stale_only_as_a_whole() {
        let state = |stale| SiteCount { stale, ..down(&[]) }.state();
        assert_eq!([state(0), state(2), state(3)], [SiteState::Down, SiteState::Down, SiteState::Stale]);
        assert_eq!(SiteCount::default().state(), SiteState::Unknown);
    }
}
