//! The configuration protocol of WireGuard processes ("Cross-platform Userspace Implementation" at wireguard.com): lines of
//! `key=value` over a Unix socket.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::peers::{PeerError, Peers};
use crate::core::health::PeerReading;
use crate::core::model::{InterfaceName, PeerKey, Timestamp};

/// Where WireGuard processes have their sockets.
const SOCKETS: &str = "/var/run/wireguard";
/// Longest answer: 10,000 peers with ten networks each. Somebody else's socket is not read for ever.
const ANSWER_MAX: u64 = 16 << 20;

/// The socket of an interface.
pub(super) fn socket_of(interface: &InterfaceName) -> PathBuf {
    Path::new(SOCKETS).join(format!("{interface}.sock"))
}

/// Reads the peers of the interface behind a socket. The answer has the interface's private key too: every line that is not
/// needed is dropped as it comes, and none is kept or told.
pub async fn read_by_socket(path: &Path) -> Result<Peers, PeerError> {
    let fault = |source| PeerError::Socket { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).await.map_err(fault)?;
    stream.write_all(b"get=1\n\n").await.map_err(fault)?;
    let mut lines = BufReader::new(stream.take(ANSWER_MAX)).lines();
    let mut answer = Answer::default();
    while let Some(line) = lines.next_line().await.map_err(fault)? {
        // Keys are secrets, and the values of all other lines are numbers and addresses.
        let refuse = |told: &str| PeerError::Answer { path: path.to_owned(), answer: told.to_owned() };
        if line.is_empty() {
            return answer.end().map_err(|told| refuse(&told));
        }
        answer.take(&line).map_err(|told| refuse(&told))?;
    }
    Err(fault(io::ErrorKind::UnexpectedEof.into()))
}

/// An answer as far as it has been read.
#[derive(Debug, Default)]
struct Answer {
    peers: Peers,
    current: Option<PeerKey>,
    errno: Option<String>,
}

impl Answer {
    /// Takes a line. What is wrong with it is told without its value where that may be a key.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let Some((key, value)) = line.split_once('=') else { return Err("a line without `=`".to_owned()) };
        let number = || value.parse::<u64>().map_err(|_| format!("{key}=…"));
        match key {
            "errno" => self.errno = Some(value.to_owned()),
            "public_key" => {
                let peer = PeerKey::from_hex(value).ok_or_else(|| "public_key=…".to_owned())?;
                self.current = Some(peer);
                self.peers.insert(peer, PeerReading::default());
            }
            "last_handshake_time_sec" => {
                let seconds = number()?;
                self.change(|peer| peer.last_handshake = handshake(seconds));
            }
            "rx_bytes" => {
                let received = number()?;
                self.change(|peer| peer.received = received);
            }
            "tx_bytes" => {
                let sent = number()?;
                self.change(|peer| peer.sent = sent);
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, change: impl FnOnce(&mut PeerReading)) {
        if let Some(peer) = self.current.and_then(|peer| self.peers.get_mut(&peer)) {
            change(peer);
        }
    }

    fn end(self) -> Result<Peers, String> {
        match self.errno.as_deref() {
            Some("0") => Ok(self.peers),
            Some(errno) => Err(format!("errno={errno}")),
            None => Err("no errno".to_owned()),
        }
    }
}

/// A moment in seconds since 1970; 0 where there was none.
pub(super) fn handshake(seconds: u64) -> Option<Timestamp> {
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?;
    (seconds > 0).then(|| Timestamp::from_unix_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33";
    const TWO: &str = "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376";

    fn read(lines: &[&str]) -> Result<Peers, String> {
        let mut answer = Answer::default();
        for line in lines {
            answer.take(line)?;
        }
        answer.end()
    }

    #[test]
    fn peers_are_read_and_nothing_else() {
        let (one, two) = (format!("public_key={ONE}"), format!("public_key={TWO}"));
        let lines = [
            "private_key=e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a",
            "listen_port=12912",
            // Of the interface, not of a peer.
            "rx_bytes=99",
            &one,
            "preshared_key=188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52",
            "last_handshake_time_sec=1700000000",
            "last_handshake_time_nsec=123456789",
            "rx_bytes=2224",
            "tx_bytes=38333",
            "allowed_ip=192.168.4.4/32",
            &two,
            "last_handshake_time_sec=0",
            "protocol_version=1",
            "errno=0",
        ];
        let key = |hex| PeerKey::from_hex(hex).expect("a key");
        let known = Some(Timestamp::from_unix_millis(1_700_000_000_000));
        let expected = Peers::from([
            (key(ONE), PeerReading { last_handshake: known, received: 2224, sent: 38333 }),
            (key(TWO), PeerReading { last_handshake: None, received: 0, sent: 0 }),
        ]);
        assert_eq!(read(&lines), Ok(expected));
    }

    #[test]
    fn what_is_no_answer_is_refused_without_telling_keys() {
        let key = format!("public_key={ONE}");
        for (lines, told) in [
            (&["errno=1"][..], "errno=1"),
            (&[&key], "no errno"),
            (&["public_key=e84b5a6d2717c1003a"], "public_key=…"),
            (&[&key, "rx_bytes=many"], "rx_bytes=…"),
            (&["HTTP/1.1 400 Bad Request"], "a line without `=`"),
        ] {
            assert_eq!(read(lines), Err(told.to_owned()));
        }
    }
}
