use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Dials at once. Where 30 % of all packets are lost in each direction, one dial in two fails within the time that a second
/// SYN takes; five of five, one time in thirty.
const DIALS: usize = 5;

/// True where a machine does not even say no: every dial within the limit went without an answer. A machine that accepts
/// and then does not answer is no silent one, and what it works on may still come.
pub async fn is_silent(upstream: SocketAddr, limit: Duration) -> bool {
    let mut dials = JoinSet::new();
    for _ in 0..DIALS {
        dials.spawn(async move {
            match timeout(limit, TcpStream::connect(upstream)).await {
                Ok(Ok(stream)) => {
                    // With a reset, as probes do: an orderly close would leave a `TIME_WAIT` behind.
                    let _ = stream.set_zero_linger();
                    false
                }
                Ok(Err(error)) => is_from_nobody(&error),
                Err(_) => true,
            }
        });
    }
    while let Some(silent) = dials.join_next().await {
        // A dial that could not be made says nothing, and nothing must end for it.
        if !silent.unwrap_or(false) {
            return false;
        }
    }
    true
}

/// True for errors that come of no answer from the machine itself. Those of this machine, such as out of ports, are not.
fn is_from_nobody(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(error.kind(), HostUnreachable | NetworkUnreachable | TimedOut)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[tokio::test]
    async fn whoever_accepts_or_refuses_is_not_silent() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        assert!(!is_silent(address, Duration::from_secs(5)).await, "it accepts and never answers");
        drop(listener);
        assert!(!is_silent(address, Duration::from_secs(5)).await, "it refuses");
    }
}
