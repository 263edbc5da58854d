use std::time::Duration;

use crate::core::health::Verdict;
use crate::core::model::Timestamp;

// The protocol's own times, from "WireGuard: Next Generation Kernel Network Tunnel" (Jason A. Donenfeld, NDSS 2017),
// section 6.1. With traffic, the side that began a session begins the next one after REKEY_AFTER_TIME (120 s); nobody uses
// a session that is older than REJECT_AFTER_TIME. Whoever gets data and has none to send answers with an empty packet after
// KEEPALIVE_TIMEOUT (10 s), so that whoever sends data and hears nothing for KEEPALIVE_TIMEOUT + REKEY_TIMEOUT (10 s + 5 s)
// knows that nothing gets through, and asks for a new session each REKEY_TIMEOUT (sections 6.4 and 6.5).

/// `REJECT_AFTER_TIME` with margin: two tries for a new session at its end, and two readings of ours.
const SESSION_MAX: Duration = Duration::from_secs(180 + 2 * 5 + 2 * 5);
/// `KEEPALIVE_TIMEOUT` and `REKEY_TIMEOUT` with margin: one more try, and a reading of ours.
const SILENCE_MAX: Duration = Duration::from_secs(15 + 5 + 5);
/// What the protocol itself sends in a silence that it takes for a fault: two requests for a session of 148 bytes. An idle
/// tunnel that is kept open by empty packets (of 32 bytes, each 25 s by custom; nobody answers them) sends less.
const SILENCE_SENT: u64 = 2 * 148;

/// What a WireGuard interface says of a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerReading {
    /// When a session was last agreed on; none before the first.
    pub last_handshake: Option<Timestamp>,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

/// What is known of a peer from its readings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wireguard {
    newest: Option<(Timestamp, PeerReading)>,
    heard: Heard,
}

/// When something was last received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Heard {
    /// It was after this; none where nothing was received between two readings.
    after: Option<Timestamp>,
    /// And before this: the reading that showed it, or the first one.
    by: Option<Timestamp>,
    /// Bytes sent by then.
    sent: u64,
}

impl Wireguard {
    /// Takes a reading.
    pub(super) fn take(&mut self, at: Timestamp, reading: PeerReading) {
        match self.newest {
            // Counters that went back are those of another interface of that name.
            Some((before_at, before)) if reading.received >= before.received && reading.sent >= before.sent => {
                if reading.received > before.received {
                    self.heard = Heard { after: Some(before_at.min(at)), by: Some(at), sent: reading.sent };
                }
            }
            Some(_) | None => self.heard = Heard { after: None, by: Some(at), sent: reading.sent },
        }
        // The wall clock may have been set back.
        self.heard.by = self.heard.by.map(|by| by.min(at));
        self.heard.after = self.heard.after.map(|after| after.min(at));
        self.newest = Some((at, reading));
    }

    /// The newest reading.
    pub(super) fn newest(&self) -> Option<PeerReading> {
        self.newest.map(|(_, reading)| reading)
    }

    /// A moment after which something came through for certain.
    pub(super) fn proved_at(&self) -> Option<Timestamp> {
        let (at, reading) = self.newest?;
        self.heard.after.max(reading.last_handshake.map(|handshake| handshake.min(at)))
    }

    /// What the newest reading says, and why.
    pub(super) fn judge(&self) -> (Verdict, String) {
        let Some((at, reading)) = self.newest else { return (Verdict::Unknown, "not read yet".to_owned()) };
        let Some(handshake) = reading.last_handshake else {
            return (Verdict::Down, "no handshake yet".to_owned());
        };
        let age = at.since(handshake);
        let told = format!("last handshake {}s ago", age.as_secs());
        let is_heard_just_now = self.heard.after.is_some() && self.heard.by == Some(at);
        let sent = reading.sent.saturating_sub(self.heard.sent);
        let silence = self.heard.by.map_or(Duration::ZERO, |by| at.since(by));
        if is_heard_just_now {
            (Verdict::Up, told)
        } else if age > SESSION_MAX {
            // Without traffic no session is renewed, and one will be as soon as there is some.
            if sent > 0 { (Verdict::Down, told) } else { (Verdict::Unknown, format!("idle, {told}")) }
        } else if silence >= SILENCE_MAX && sent >= SILENCE_SENT {
            (Verdict::Down, format!("nothing received for {}s, {told}", silence.as_secs()))
        } else {
            (Verdict::Up, told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1000)
    }

    /// The verdict after readings of (second, second of the handshake, received, sent).
    fn judged(readings: &[(i64, Option<i64>, u64, u64)]) -> Verdict {
        let mut peer = Wireguard::default();
        for (second, handshake, received, sent) in readings {
            let last_handshake = handshake.map(at);
            peer.take(at(*second), PeerReading { last_handshake, received: *received, sent: *sent });
        }
        peer.judge().0
    }

    #[test]
    fn a_tunnel_is_what_its_session_is() {
        let first = (1000, Some(990), 5000, 5000);
        for (readings, expected, why) in [
            (&[][..], Verdict::Unknown, "it was not read"),
            (&[(1000, None, 0, 0)], Verdict::Down, "there was never a session"),
            (&[first], Verdict::Up, "the session is young"),
            (&[(1000, Some(500), 5000, 5000)], Verdict::Unknown, "nobody has used it since"),
            (&[(1000, Some(500), 5000, 5000), (1005, Some(500), 5000, 5148)], Verdict::Down, "traffic renews nothing"),
            (&[(1000, Some(500), 5000, 5000), (1005, Some(500), 5096, 5148)], Verdict::Up, "something was received"),
            (&[(1000, Some(801), 5000, 5000), (1005, Some(806), 5000, 5148)], Verdict::Up, "not yet 200 s"),
            (&[first, (1200, Some(990), 5000, 5064)], Verdict::Down, "older than any session"),
        ] {
            assert_eq!(judged(readings), expected, "{why}");
        }
    }

    #[test]
    fn silence_while_data_is_sent_is_a_fault_long_before_the_session_ends() {
        let first = (1000, Some(990), 5000, 5000);
        for (readings, expected, why) in [
            (&[first, (1024, Some(990), 5000, 9000)][..], Verdict::Up, "it may yet be answered"),
            (&[first, (1025, Some(990), 5000, 9000)], Verdict::Down, "the protocol itself has given up"),
            (&[first, (1090, Some(990), 5000, 5096)], Verdict::Up, "only kept open: 32 bytes each 25 s"),
            (&[first, (1020, Some(990), 5032, 7000), (1044, Some(990), 5032, 9000)], Verdict::Up, "heard 24 s ago"),
            (&[first, (1025, Some(990), 5000, 9000), (1030, Some(1027), 5092, 9148)], Verdict::Up, "it is back"),
            (&[first, (1060, Some(1050), 200, 300)], Verdict::Up, "the interface was made anew"),
        ] {
            assert_eq!(judged(readings), expected, "{why}");
        }
    }

    #[test]
    fn what_was_received_was_received_after_the_reading_before() {
        let mut peer = Wireguard::default();
        let mut take = |second, handshake, received| {
            peer.take(at(second), PeerReading { last_handshake: Some(at(handshake)), received, sent: 0 });
            peer.proved_at()
        };
        assert_eq!(take(1000, 990, 1), Some(at(990)));
        assert_eq!(take(1005, 990, 2), Some(at(1000)));
        assert_eq!(take(1010, 990, 2), Some(at(1000)));
        assert_eq!(take(1015, 1012, 3), Some(at(1012)));
        assert_eq!(take(900, 1012, 4), Some(at(900)), "the clock was set back");
    }
}
