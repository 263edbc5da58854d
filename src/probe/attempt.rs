//! One probe from start to end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::dial::{Connection, Connectors, Opened, Way, dial_and_close};
use super::grpc::{Channel, GrpcCall};
use super::http::HttpCall;
use super::secrets::SecretReader;
use super::target::ProbeTarget;
use crate::core::health::{Failure, Outcome, Told, Tried, all_of, any_of, passed_over};
use crate::core::inventory::{Probe, ProbeKind, Tries, Try};
use crate::core::model::Timestamp;

/// What probes are made with.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) connectors: Connectors,
    pub(super) secrets: SecretReader,
}

/// What one probe leaves behind.
pub(super) struct Attempt {
    pub(super) latency: Duration,
    pub(super) outcome: Outcome,
    pub(super) told: Told,
    /// The connections that can serve the next probe.
    pub(super) idle: Vec<Kept>,
}

/// A connection between two probes.
pub(super) struct Kept {
    /// Which of several tries it serves.
    number: usize,
    held: Held,
    opened_at: Instant,
    certificate_ends: Option<Timestamp>,
}

/// What is kept of a connection: HTTP/1 leaves nothing behind but the stream, HTTP/2 is a conversation.
pub(super) enum Held {
    Stream(Connection),
    Channel(Box<Channel>),
}

/// Makes one probe. The timeout is on all of it: dialing, TLS, a second try on a fresh connection, the body; and so is what
/// it may take without being too slow.
pub(super) async fn attempt(means: &Means, target: &ProbeTarget, mut idle: Vec<Kept>) -> Attempt {
    let ProbeTarget { upstream, probe } = target;
    let (result, latency, told, idle) = match &probe.tries {
        Tries::One(kind) => {
            let made = make(means, *upstream, (probe, kind), idle.pop()).await;
            (made.result, made.took, made.told, made.kept.into_iter().collect())
        }
        Tries::All(tries) => {
            let made = side_by_side(means, target, tries, idle).await;
            // The last one decides.
            let took = made.iter().map(|(_, made)| made.took).max();
            let (tried, told, idle) = apart(made);
            (all_of(tried), took.unwrap_or_default(), told, idle)
        }
        Tries::Any(tries) => {
            let made = side_by_side(means, target, tries, idle).await;
            // The first one that passes decides, and where none does the last one.
            let passed = made.iter().filter(|(_, made)| made.result.is_ok()).map(|(_, made)| made.took).min();
            let took = passed.or_else(|| made.iter().map(|(_, made)| made.took).max());
            let (tried, told, idle) = apart(made);
            let told = Told { passed_over: passed_over(&tried).map(Into::into), ..told };
            (any_of(tried), took.unwrap_or_default(), told, idle)
        }
    };
    let outcome = match (result, probe.latency) {
        (Ok(()), Some(limit)) if latency > limit => Outcome::Fail(too_slow(latency, limit)),
        (Ok(()), Some(_) | None) => Outcome::Pass,
        (Err(failure), _) => Outcome::Fail(failure),
    };
    Attempt { latency, outcome, told, idle }
}

/// What came of one thing that was tried.
struct Made {
    took: Duration,
    result: Result<(), Failure>,
    told: Told,
    /// When the certificate ends that belongs to the connection, however old that is.
    certificate_ends: Option<Timestamp>,
    kept: Option<Kept>,
}

/// Tries one thing.
async fn make(means: &Means, upstream: SocketAddr, (probe, kind): (&Probe, &ProbeKind), idle: Option<Kept>) -> Made {
    let begun = Instant::now();
    let mut notes = Notes { opened_at: begun, certificate_ends: None, refused: None, told: Told::default() };
    let (result, idle) = match kind {
        ProbeKind::Tcp => {
            let opened = tokio::time::timeout(probe.timeout, dial_and_close(upstream)).await;
            (opened.unwrap_or(Err(Failure::Timeout)), None)
        }
        ProbeKind::Http(http) => {
            let call = HttpCall::new(means, upstream, http, probe.report);
            within(probe.timeout, call.make(idle, &mut notes)).await
        }
        ProbeKind::Grpc(grpc) => {
            let call = GrpcCall::new(means, upstream, grpc, probe.report);
            within(probe.timeout, call.make(idle, &mut notes)).await
        }
    };
    let Notes { opened_at, certificate_ends, refused, told } = notes;
    // An answer that does not pass says more than how it ended.
    let result = refused.map_or(result, Err);
    let kept = idle.map(|held| Kept { number: 0, held, opened_at, certificate_ends });
    Made { took: begun.elapsed(), result, told, certificate_ends, kept }
}

/// Tries several things at once, each with its own connection.
async fn side_by_side<'t>(
    means: &Means,
    target: &ProbeTarget,
    tries: &'t [Try],
    mut idle: Vec<Kept>,
) -> Vec<(&'t Try, Made)> {
    let ProbeTarget { upstream, probe } = target;
    let numbered = tries.iter().enumerate().map(|(number, one)| {
        let idle = idle.iter().position(|kept| kept.number == number).map(|at| idle.swap_remove(at));
        let making = make(means, one.upstream(*upstream), (probe, &one.kind), idle);
        Box::pin(async move {
            let made = making.await;
            let kept = made.kept.map(|kept| Kept { number, ..kept });
            (one, Made { kept, ..made })
        })
    });
    let mut making: Vec<_> = numbered.collect();
    let mut made: Vec<_> = making.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (one, made) in making.iter_mut().zip(&mut made) {
            if made.is_none()
                && let Poll::Ready(ready) = one.as_mut().poll(context)
            {
                *made = Some(ready);
            }
        }
        if made.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    made.into_iter().flatten().collect()
}

/// What came of several tries, what they told, and the connections that they left. The certificate of a kept connection is told
/// each time: else the last handshake would tell its own in place of one that ends sooner.
fn apart(made: Vec<(&Try, Made)>) -> (Vec<Tried>, Told, Vec<Kept>) {
    let told = made.iter().map(|(_, made)| Told { certificate_ends: made.certificate_ends, ..made.told.clone() });
    let told = Told::together(told);
    let mut idle = Vec::new();
    let mut tried = Vec::new();
    for (one, made) in made {
        idle.extend(made.kept);
        tried.push((one.words(), made.result));
    }
    (tried, told, idle)
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
    certificate_ends: Option<Timestamp>,
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
        let Kept { number: _, held, opened_at, certificate_ends } = idle.filter(is_young)?;
        (self.opened_at, self.certificate_ends) = (opened_at, certificate_ends);
        Some(held)
    }

    /// Opens a connection.
    pub(super) async fn open(&mut self, connectors: &Connectors, way: &Way<'_>) -> Result<Connection, Failure> {
        (self.opened_at, self.certificate_ends) = (Instant::now(), None);
        let Opened { connection, certificate_ends } = way.open(connectors).await?;
        (self.told.certificate_ends, self.certificate_ends) = (certificate_ends, certificate_ends);
        Ok(connection)
    }
}
