use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use super::program::read_by_program;
use super::uapi::{read_by_socket, socket_of};
use crate::core::health::PeerReading;
use crate::core::model::{InterfaceName, PeerKey};

/// Peers of an interface with what it says of them.
pub type Peers = BTreeMap<PeerKey, PeerReading>;

/// For one look at an interface: both ways answer within milliseconds.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// An interface cannot be read.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The socket of a WireGuard that is a process cannot be used.
    #[error("cannot read {}{}", path.display(), hint(source))]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process answered with an error number, or with something else than its protocol has.
    #[error("{} answers `{answer}`, which is no list of peers", path.display())]
    Answer {
        /// The socket.
        path: PathBuf,
        /// The line.
        answer: String,
    },
    /// There is no socket, and the `wg` program cannot be run.
    #[error("{interface} cannot be read: it has no socket at {}, and `wg` cannot be run (install wireguard-tools)", socket.display())]
    NoProgram {
        /// The interface.
        interface: InterfaceName,
        /// Where a socket was looked for.
        socket: PathBuf,
        /// Why `wg` cannot be run.
        source: io::Error,
    },
    /// `wg` refused.
    #[error("`wg show {interface}` fails: {words}{}", wg_hint(words))]
    Program {
        /// The interface.
        interface: InterfaceName,
        /// What it wrote.
        words: String,
    },
    /// `wg` wrote something that is not understood.
    #[error("`wg show {interface}` wrote `{line}`, which is not understood")]
    Line {
        /// The interface.
        interface: InterfaceName,
        /// The line.
        line: String,
    },
    /// Nothing came in time.
    #[error("{interface} did not answer within {}s", READ_TIMEOUT.as_secs())]
    Timeout {
        /// The interface.
        interface: InterfaceName,
    },
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (run bascule as a user that may open it)",
        io::ErrorKind::ConnectionRefused => " (its WireGuard process has ended)",
        _ => "",
    }
}

fn wg_hint(words: &str) -> &'static str {
    if words.contains("not permitted") { " (bascule needs CAP_NET_ADMIN for it)" } else { "" }
}

/// Reads the peers of an interface: over the socket of a WireGuard that is a process, else with `wg`.
pub async fn read_peers(interface: &InterfaceName) -> Result<Peers, PeerError> {
    let socket = socket_of(interface);
    let read = async {
        match read_by_socket(&socket).await {
            Err(PeerError::Socket { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                read_by_program(interface).await
            }
            read => read,
        }
    };
    timeout(READ_TIMEOUT, read).await.unwrap_or_else(|_| Err(PeerError::Timeout { interface: interface.clone() }))
}
