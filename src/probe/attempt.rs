//! One probe from start to end.

use std::future::Future;
use std::time::{Duration, Instant};

use super::dial::{Connection, Connectors, Opened, Way, dial_and_close};
use super::grpc::{Channel, GrpcCall};
use super::http::HttpCall;
use super::target::ProbeTarget;
use crate::core::health::{Failure, Outcome, Told};
use crate::core::inventory::ProbeKind;

/// What one probe leaves behind.
pub(super) struct Attempt {
    pub(super) latency: Duration,
    pub(super) outcome: Outcome,
    pub(super) told: Told,
    /// The connection, where it can serve the next probe.
    pub(super) idle: Option<Kept>,
}

/// A connection between two probes.
pub(super) struct Kept {
    held: Held,
    opened_at: Instant,
}

/// What is kept of a connection: HTTP/1 leaves nothing behind but the stream, HTTP/2 is a conversation.
pub(super) enum Held {
    Stream(Connection),
    Channel(Box<Channel>),
}

/// Makes one probe. The timeout is on all of it: dialing, TLS, a second try on a fresh connection, the body; and so is what
/// it may take without being too slow.
pub(super) async fn attempt(connectors: &Connectors, target: &ProbeTarget, idle: Option<Kept>) -> Attempt {
    let begun = Instant::now();
    let ProbeTarget { upstream, probe } = target;
    let mut notes = Notes { opened_at: begun, refused: None, told: Told::default() };
    let (result, idle) = match &probe.kind {
        ProbeKind::Tcp => {
            let opened = tokio::time::timeout(probe.timeout, dial_and_close(*upstream)).await;
            (opened.unwrap_or(Err(Failure::Timeout)), None)
        }
        ProbeKind::Http(http) => {
            let call = HttpCall::new(connectors, *upstream, http, probe.report);
            within(probe.timeout, call.make(idle, &mut notes)).await
        }
        ProbeKind::Grpc(grpc) => {
            let call = GrpcCall::new(connectors, *upstream, grpc, probe.report);
            within(probe.timeout, call.make(idle, &mut notes)).await
        }
    };
    // An answer that does not pass says more than how it ended.
    let result = notes.refused.map_or(result, Err);
    let latency = begun.elapsed();
    let outcome = match (result, probe.latency) {
        (Ok(()), Some(limit)) if latency > limit => Outcome::Fail(too_slow(latency, limit)),
        (Ok(()), Some(_) | None) => Outcome::Pass,
        (Err(failure), _) => Outcome::Fail(failure),
    };
    let idle = idle.map(|held| Kept { held, opened_at: notes.opened_at });
    Attempt { latency, outcome, told: notes.told, idle }
}

/// Makes a call, as long as it may take.
async fn within(
    timeout: Duration,
    call: impl Future<Output = Result<Option<Held>, Failure>>,
) -> (Result<(), Failure>, Option<Held>) {
    match tokio::time::timeout(timeout, call).await.unwrap_or(Err(Failure::Timeout)) {
        Ok(idle) => (Ok(()), idle),
        Err(failure) => (Err(failure), None),
    }
}

/// In milliseconds, rounded so that what took longer reads longer.
fn too_slow(took: Duration, limit: Duration) -> Failure {
    let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Failure::Slow { took_ms: whole(took).saturating_add(1), limit_ms: whole(limit) }
}

/// What is known of a probe though it may not come to its end.
pub(super) struct Notes {
    /// When its connection was opened.
    opened_at: Instant,
    /// What came, where that does not pass.
    pub(super) refused: Option<Failure>,
    pub(super) told: Told,
}

/// Longest use of a connection with TLS. A server that is given a new certificate may present it on new connections only,
/// and then the end of the old one would be told for ever. An hour: a renewed certificate is seen soon enough, and of 10,000
/// backends three handshakes a second are asked.
const SECURED_MAX: Duration = Duration::from_hours(1);

impl Notes {
    /// Takes up the connection that the last probe left, if it may be used on.
    pub(super) fn take_up(&mut self, idle: Option<Kept>, way: &Way<'_>) -> Option<Held> {
        let is_young = |kept: &Kept| way.tls.is_none() || kept.opened_at.elapsed() < SECURED_MAX;
        let Kept { held, opened_at } = idle.filter(is_young)?;
        self.opened_at = opened_at;
        Some(held)
    }

    /// Opens a connection.
    pub(super) async fn open(&mut self, connectors: &Connectors, way: &Way<'_>) -> Result<Connection, Failure> {
        self.opened_at = Instant::now();
        let Opened { connection, certificate_ends } = way.open(connectors).await?;
        self.told.certificate_ends = certificate_ends;
        Ok(connection)
    }
}
