//! One probe from start to end.

use std::time::{Duration, Instant};

use super::dial::{Connection, Connectors, Secured, dial, dial_and_close};
use super::http::{Answer, BODY_MAX, Question, ask};
use super::target::ProbeTarget;
use crate::core::health::{Failure, Outcome, Told};
use crate::core::inventory::{BodyExpectation, HttpProbe, ProbeKind};

/// Longest use of a connection with TLS. A server that is given a new certificate may present it on new connections only,
/// and then the end of the old one would be told for ever. An hour: a renewed certificate is seen soon enough, and of 10,000
/// backends three handshakes a second are asked.
const SECURED_MAX: Duration = Duration::from_hours(1);

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
    connection: Connection,
    opened_at: Instant,
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
            let call = Call { connectors, target, probe: http };
            let ended = tokio::time::timeout(probe.timeout, call.make(idle, &mut notes)).await;
            match ended.unwrap_or(Err(Failure::Timeout)) {
                Ok(idle) => (Ok(()), idle),
                Err(failure) => (Err(failure), None),
            }
        }
    };
    // A status that does not pass says more than how its body ended.
    let result = notes.refused.map_or(result, |status| Err(Failure::Status(status)));
    let latency = begun.elapsed();
    let outcome = match (result, probe.latency) {
        (Ok(()), Some(limit)) if latency > limit => Outcome::Fail(too_slow(latency, limit)),
        (Ok(()), Some(_) | None) => Outcome::Pass,
        (Err(failure), _) => Outcome::Fail(failure),
    };
    let idle = idle.map(|connection| Kept { connection, opened_at: notes.opened_at });
    Attempt { latency, outcome, told: notes.told, idle }
}

/// In milliseconds, rounded so that what took longer reads longer.
fn too_slow(took: Duration, limit: Duration) -> Failure {
    let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Failure::Slow { took_ms: whole(took).saturating_add(1), limit_ms: whole(limit) }
}

/// What is known of a probe though it may not come to its end.
struct Notes {
    /// When its connection was opened.
    opened_at: Instant,
    /// The status, where that does not pass.
    refused: Option<u16>,
    told: Told,
}

/// An HTTP probe.
struct Call<'a> {
    connectors: &'a Connectors,
    target: &'a ProbeTarget,
    probe: &'a HttpProbe,
}

impl Call<'_> {
    /// Gets a whole answer and returns the connection where it can be used again. A status that does not pass is noted as
    /// soon as it is known, so that it also holds when the rest never comes.
    ///
    /// Redirects are answers like any other: following one would ask somebody else.
    async fn make(&self, idle: Option<Kept>, notes: &mut Notes) -> Result<Option<Connection>, Failure> {
        let answer = self.answer(idle, notes).await?;
        let status = answer.status();
        if self.target.probe.report {
            notes.told.report = Some(answer.report());
        }
        let HttpProbe { status: expected, body, .. } = self.probe;
        if !expected.iter().any(|range| range.contains(status)) {
            notes.refused = Some(status);
        }
        let Some(expectation) = body.as_ref().filter(|_| notes.refused.is_none()) else {
            return answer.end(|_| {}, BODY_MAX).await;
        };
        let mut body = Vec::new();
        let idle = answer.end(|bytes| body.extend_from_slice(bytes), BodyExpectation::READ_MAX).await?;
        body.truncate(BodyExpectation::READ_MAX);
        expectation.judge(&body).map_err(Failure::Body)?;
        Ok(idle)
    }

    /// Asks on the idle connection, if there is one. Where that turns out to have been closed, asks once more on a fresh
    /// one: a server may close an idle connection at any moment, also in the one in which the request is on its way (RFC
    /// 9112, section 9.3.1).
    async fn answer(&self, idle: Option<Kept>, notes: &mut Notes) -> Result<Answer, Failure> {
        let host = self.host_header();
        let HttpProbe { method, path, headers, tls, .. } = self.probe;
        let question = Question { method: method.as_str(), path: path.as_str(), host: &host, headers };
        let is_young = |kept: &Kept| tls.is_none() || kept.opened_at.elapsed() < SECURED_MAX;
        if let Some(Kept { connection, opened_at }) = idle.filter(is_young) {
            notes.opened_at = opened_at;
            match ask(connection, question).await {
                Err(unanswered) if unanswered.may_be_stale => {}
                result => return result.map_err(|unanswered| unanswered.failure),
            }
        }
        notes.opened_at = Instant::now();
        let connection = self.open(notes).await?;
        ask(connection, question).await.map_err(|unanswered| unanswered.failure)
    }

    async fn open(&self, notes: &mut Notes) -> Result<Connection, Failure> {
        let upstream = self.target.upstream;
        let stream = dial(upstream).await?;
        let HttpProbe { host, tls, .. } = self.probe;
        let Some(tls) = tls else { return Ok(Box::new(stream)) };
        let Secured { connection, certificate_ends } =
            self.connectors.secure(stream, upstream, tls, host.as_ref()).await?;
        notes.told.certificate_ends = certificate_ends;
        Ok(connection)
    }

    fn host_header(&self) -> String {
        self.probe.host.as_ref().map_or_else(|| self.target.upstream.to_string(), ToString::to_string)
    }
}
