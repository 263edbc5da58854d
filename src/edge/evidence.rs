use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::core::caddy::evidence::{DATAGRAM_MAX, Told, read};

/// Datagrams a second that are looked at. An edge sends little more than a hundred; what is beyond this is thrown away
/// unread, and a flood costs no more than to receive it.
const READ_A_SECOND: u32 = 2_000;
/// Time between two words about what is no evidence.
const IGNORED_QUIET: Duration = Duration::from_mins(1);
/// Wait after a read that failed.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Takes what an edge told; false where it is of no use. Must not wait.
pub type Hear = Arc<dyn Fn(Told<'_>) -> bool + Send + Sync>;

/// Where edges tell what clients meet, listening.
#[derive(Debug)]
pub struct EvidenceListener {
    socket: UdpSocket,
}

/// Why edges cannot be heard.
#[derive(Debug, Error)]
#[error(
    "cannot listen on udp {address}, where edges tell what clients meet; another `--relay` address has another port"
)]
pub struct EvidenceError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl EvidenceListener {
    /// Binds the address.
    pub async fn bind(address: SocketAddr) -> Result<Self, EvidenceError> {
        let socket = UdpSocket::bind(address).await.map_err(|source| EvidenceError { address, source })?;
        Ok(Self { socket })
    }

    /// Hears until shutdown. What is no evidence is counted, and said once in a while.
    pub async fn hear(self, hear: Hear, shutdown: CancellationToken) {
        // A byte more, by which a datagram that is too long is known.
        let mut buffer = [0; DATAGRAM_MAX + 1];
        let mut rate = Rate { since: Instant::now(), count: 0 };
        let mut ignored = Ignored { count: 0, said: None };
        loop {
            let received = tokio::select! {
                () = shutdown.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok(_) if !rate.allows(Instant::now()) => {}
                Ok((length, from)) => {
                    if !read(&buffer[..length]).is_some_and(&*hear) {
                        ignored.note(from);
                    }
                }
                Err(error) => {
                    debug!(%error, "what an edge tells is not received");
                    tokio::time::sleep(READ_PAUSE).await;
                }
            }
        }
    }
}

/// Datagrams in this second.
struct Rate {
    since: Instant,
    count: u32,
}

impl Rate {
    fn allows(&mut self, now: Instant) -> bool {
        if now - self.since >= Duration::from_secs(1) {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= READ_A_SECOND
    }
}

/// Datagrams that were of no use since that was last said.
struct Ignored {
    count: u64,
    said: Option<Instant>,
}

impl Ignored {
    fn note(&mut self, from: SocketAddr) {
        self.count += 1;
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= IGNORED_QUIET) {
            info!(datagrams = self.count, %from, "something else than evidence of a planned edge came, and is ignored");
            *self = Self { count: 0, said: Some(now) };
        }
    }
}
