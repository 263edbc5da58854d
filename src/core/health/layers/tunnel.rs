use std::sync::Arc;
use std::time::Duration;

use super::{Gateway, PeerReading, Wireguard};
use crate::core::health::{Outcome, Verdict};
use crate::core::inventory::Tunnel;
use crate::core::model::{SiteName, Timestamp};

/// A tunnel of which nothing was seen for so long is stale: gateways are asked every 2 s and interfaces every 5 s, so three
/// looks of the slower kind have failed to come.
pub const TUNNEL_STALE: Duration = Duration::from_secs(20);

/// One look at the tunnel to a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelSample {
    /// The site.
    pub site: SiteName,
    /// What was declared when it was looked at.
    pub tunnel: Arc<Tunnel>,
    /// When the look ended.
    pub at: Timestamp,
    /// What was seen.
    pub seen: TunnelSeen,
}

/// What is seen of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelSeen {
    /// What its interface says of the peer.
    Peer(PeerReading),
    /// Why its interface says nothing.
    Unreadable(String),
    /// What came of asking the gateway.
    Gateway(Outcome),
}

/// How a tunnel stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TunnelHealth {
    /// What is believed.
    pub state: Verdict,
    /// Since when; none while it was never known.
    pub since: Option<Timestamp>,
    /// Why, in words.
    pub cause: String,
    /// When anything was last learned of it.
    pub seen_at: Option<Timestamp>,
    /// A moment after which something came through it for certain.
    pub proved_at: Option<Timestamp>,
    /// What its interface said last, where that can be read.
    pub peer: Option<PeerReading>,
    /// Why its interface cannot be read.
    pub unreadable: Option<String>,
}

/// What there is beside a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// No other site.
    None,
    /// Other sites; something at one of them was last reached then.
    ReachedAt(Option<Timestamp>),
}

/// Judges one tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TunnelJudge {
    tunnel: Arc<Tunnel>,
    wireguard: Wireguard,
    unreadable: Option<String>,
    gateway: Gateway,
    seen_at: Option<Timestamp>,
    /// When it began to look down.
    doubted_since: Option<Timestamp>,
    health: TunnelHealth,
}

impl TunnelJudge {
    /// Knows nothing yet.
    pub(super) fn new(tunnel: Arc<Tunnel>) -> Self {
        Self {
            tunnel,
            wireguard: Wireguard::default(),
            unreadable: None,
            gateway: Gateway::default(),
            seen_at: None,
            doubted_since: None,
            health: TunnelHealth { cause: "not seen yet".to_owned(), ..TunnelHealth::default() },
        }
    }

    /// What is judged.
    pub(super) fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// How it stands.
    pub(super) fn health(&self) -> &TunnelHealth {
        &self.health
    }

    /// Takes one look.
    pub(super) fn take(&mut self, at: Timestamp, seen: &TunnelSeen) {
        match seen {
            TunnelSeen::Peer(reading) => {
                self.wireguard.take(at, *reading);
                self.unreadable = None;
            }
            TunnelSeen::Unreadable(why) => {
                // What was known of the peer is no news any more.
                self.wireguard = Wireguard::default();
                self.unreadable = Some(why.clone());
                return;
            }
            TunnelSeen::Gateway(outcome) if outcome.tells_of_backend() => self.gateway.take(at, outcome),
            TunnelSeen::Gateway(_) => return,
        }
        self.seen_at = Some(at);
    }

    /// Draws the conclusion of all looks up to now. That a tunnel is down is believed once something beyond another one was
    /// reached since it looks so: otherwise the prober's own network may be at fault. True when the state is another one.
    pub(super) fn settle(&mut self, now: Timestamp, others: Others) -> bool {
        let (looks, mut cause) = self.look();
        let before = self.health.state;
        let state = if looks == Verdict::Down {
            let since = *self.doubted_since.get_or_insert(now);
            let is_elsewhere = match others {
                Others::None => true,
                Others::ReachedAt(reached) => reached >= Some(since),
            };
            let is_believed = before == Verdict::Down || is_elsewhere;
            if !is_believed {
                cause.push_str("; nothing else was reached since, so this is not believed yet");
            }
            if is_believed { Verdict::Down } else { before }
        } else {
            self.doubted_since = None;
            looks
        };
        let since = if state == before { self.health.since } else { Some(now) };
        self.health = TunnelHealth {
            state,
            since,
            cause,
            seen_at: self.seen_at,
            proved_at: self.gateway.answered_at.max(self.wireguard.proved_at()),
            peer: self.wireguard.newest(),
            unreadable: self.unreadable.clone(),
        };
        state != before
    }

    /// How it looks. An answer of the gateway proves the tunnel, whatever else is said; its silence is outweighed by what
    /// came through the tunnel since it began.
    fn look(&self) -> (Verdict, String) {
        let (peer, told) = match (&self.tunnel.wireguard, &self.unreadable) {
            (None, _) => (Verdict::Unknown, None),
            (Some(_), Some(why)) => (Verdict::Unknown, Some(why.clone())),
            (Some(_), None) => {
                let (peer, told) = self.wireguard.judge();
                (peer, Some(told))
            }
        };
        let Some(gateway) = self.tunnel.gateway else { return (peer, told.unwrap_or_default()) };
        let Gateway { verdict, failing_since, failure, .. } = &self.gateway;
        let (state, said) = match verdict {
            Verdict::Unknown => (peer, format!("gateway {gateway} not asked yet")),
            Verdict::Up => (Verdict::Up, format!("gateway {gateway} answers")),
            Verdict::Down => {
                let is_proved = peer == Verdict::Up && self.wireguard.proved_at() >= *failing_since;
                let failure = failure.as_deref().unwrap_or("silent");
                let state = if is_proved { Verdict::Up } else { Verdict::Down };
                (state, format!("gateway {gateway} does not answer: {failure}"))
            }
        };
        (state, told.map_or_else(|| said.clone(), |told| format!("{said}; {told}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::health::Failure;
    use crate::core::inventory::WireguardPeer;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    fn judge(wireguard: &str, gateway: &str) -> TunnelJudge {
        let peer = "NLyjzYH8lnSiI3t1bVuqSPjLFMrTaxJYjE4gaASSgjs=".parse().expect("a key");
        let wireguard = wireguard.parse().ok().map(|interface| WireguardPeer { interface, peer });
        TunnelJudge::new(Arc::new(Tunnel { wireguard, gateway: gateway.parse().ok() }))
    }

    fn silent() -> TunnelSeen {
        TunnelSeen::Gateway(Outcome::Fail(Failure::Timeout))
    }

    fn peer(handshake: i64, received: u64) -> TunnelSeen {
        TunnelSeen::Peer(PeerReading { last_handshake: Some(at(handshake)), received, sent: 9000 })
    }

    /// The state after looks, each settled at once with something else in reach.
    fn state(judge: &mut TunnelJudge, looks: &[(i64, TunnelSeen)]) -> Verdict {
        for (second, seen) in looks {
            judge.take(at(*second), seen);
            judge.settle(at(*second), Others::None);
        }
        judge.health().state
    }

    #[test]
    fn what_comes_through_outweighs_what_is_silent() {
        let answers = || TunnelSeen::Gateway(Outcome::Pass);
        let unreadable = || TunnelSeen::Unreadable("no such interface".to_owned());
        for (interface, gateway, looks, expected) in [
            ("", "10.200.1.1", vec![(1, answers())], Verdict::Up),
            ("", "10.200.1.1", vec![(1, silent()), (3, silent())], Verdict::Down),
            ("wg0", "", vec![(1, unreadable())], Verdict::Unknown),
            ("wg0", "10.200.1.1", vec![(1, unreadable()), (2, answers())], Verdict::Up),
            ("wg0", "10.200.1.1", vec![(1, peer(0, 7)), (3, silent()), (5, silent())], Verdict::Down),
            // Something was received after 4, so it is the gateway that is away.
            ("wg0", "10.200.1.1", vec![(3, silent()), (4, peer(0, 7)), (5, silent()), (9, peer(0, 8))], Verdict::Up),
            // It may have been received before the gateway fell silent.
            ("wg0", "10.200.1.1", vec![(1, peer(0, 7)), (3, silent()), (5, silent()), (6, peer(0, 8))], Verdict::Down),
        ] {
            let mut judge = judge(interface, gateway);
            assert_eq!(state(&mut judge, &looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn an_interface_that_cannot_be_read_is_told_and_is_no_fault_of_the_site() {
        let mut judge = judge("wg0", "");
        state(&mut judge, &[(1, peer(0, 7)), (6, TunnelSeen::Unreadable("permission denied".to_owned()))]);
        let TunnelHealth { state, cause, unreadable, .. } = judge.health();
        assert_eq!((*state, cause.as_str()), (Verdict::Unknown, "permission denied"));
        assert_eq!(unreadable.as_deref(), Some("permission denied"));
    }

    #[test]
    fn a_tunnel_is_not_down_while_nothing_else_is_reached() {
        let mut judge = judge("", "10.200.1.1");
        state(&mut judge, &[(1, TunnelSeen::Gateway(Outcome::Pass))]);
        for second in [3, 5] {
            judge.take(at(second), &silent());
        }
        assert!(!judge.settle(at(6), Others::ReachedAt(Some(at(5)))));
        assert_eq!(judge.health().state, Verdict::Up);
        assert!(judge.health().cause.contains("not believed"), "{}", judge.health().cause);
        assert!(judge.settle(at(9), Others::ReachedAt(Some(at(8)))));
        assert_eq!((judge.health().state, judge.health().since), (Verdict::Down, Some(at(9))));
        // Once believed, it is not given up because everything else fails too.
        assert!(!judge.settle(at(12), Others::ReachedAt(None)));
    }
}
