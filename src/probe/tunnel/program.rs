//! Reading an interface with `wg`, which speaks netlink with the kernel.

use std::process::Stdio;

use tokio::process::Command;

use super::peers::{PeerError, Peers};
use super::uapi::{handshake, socket_of};
use crate::core::health::PeerReading;
use crate::core::model::InterfaceName;

/// Reads the peers of an interface. `wg show INTERFACE dump` would say it all at once, with the private key.
pub async fn read_by_program(interface: &InterfaceName) -> Result<Peers, PeerError> {
    let handshakes = show(interface, "latest-handshakes").await?;
    let transfers = show(interface, "transfer").await?;
    parse(&handshakes, &transfers).map_err(|line| PeerError::Line { interface: interface.clone(), line })
}

async fn show(interface: &InterfaceName, what: &str) -> Result<String, PeerError> {
    let mut command = Command::new("wg");
    command.args(["show", interface.as_str(), what]).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|source| PeerError::NoProgram {
        interface: interface.clone(),
        socket: socket_of(interface),
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no reason given").to_owned();
    Err(PeerError::Program { interface: interface.clone(), words })
}

/// Reads lines of `KEY TAB SECONDS` and `KEY TAB RECEIVED TAB SENT`; or says which line is none.
fn parse(handshakes: &str, transfers: &str) -> Result<Peers, String> {
    let mut peers = Peers::new();
    for line in handshakes.lines() {
        let (key, seconds) = line.split_once('\t').ok_or(line)?;
        let (key, seconds) = (key.parse().map_err(|_| line)?, seconds.parse().map_err(|_| line)?);
        peers.insert(key, PeerReading { last_handshake: handshake(seconds), ..PeerReading::default() });
    }
    for line in transfers.lines() {
        let mut fields = line.split('\t');
        let (Some(key), Some(received), Some(sent)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(line.to_owned());
        };
        let key = key.parse().map_err(|_| line)?;
        // A peer that was added between the two looks has no handshake yet.
        let peer = peers.entry(key).or_default();
        peer.received = received.parse().map_err(|_| line)?;
        peer.sent = sent.parse().map_err(|_| line)?;
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::Timestamp;

    const KEY: &str = "NLyjzYH8lnSiI3t1bVuqSPjLFMrTaxJYjE4gaASSgjs=";

    #[test]
    fn both_looks_are_put_together() {
        let read = parse(&format!("{KEY}\t1700000000\n"), &format!("{KEY}\t2224\t38333\n"));
        let last_handshake = Some(Timestamp::from_unix_millis(1_700_000_000_000));
        let reading = PeerReading { last_handshake, received: 2224, sent: 38333 };
        assert_eq!(read, Ok(Peers::from([(KEY.parse().expect("a key"), reading)])));
        let never = parse(&format!("{KEY}\t0\n"), "").expect("it is read");
        assert_eq!(never.into_values().next().expect("a peer").last_handshake, None);
    }

    #[test]
    fn a_line_that_is_not_understood_is_told() {
        for (handshakes, transfers, line) in [
            ("what", "", "what".to_owned()),
            ("", "key\t1\t2", "key\t1\t2".to_owned()),
            ("", &*format!("{KEY}\t1"), format!("{KEY}\t1")),
            (&*format!("{KEY}\tnow"), "", format!("{KEY}\tnow")),
        ] {
            assert_eq!(parse(handshakes, transfers), Err(line));
        }
    }
}
