//! One probe from start to end.

use super::dial::{Connection, Connectors, dial, dial_and_close};
use super::http::{Answer, BODY_MAX, Question, ask};
use super::target::ProbeTarget;
use crate::core::health::{Failure, Outcome};
use crate::core::inventory::{BodyExpectation, HttpProbe, ProbeKind};

/// What one probe leaves behind.
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    /// The connection, where it can serve the next probe.
    pub(super) idle: Option<Connection>,
}

/// Makes one probe. The timeout is on all of it: dialing, TLS, a second try on a fresh connection, the body.
pub(super) async fn attempt(connectors: &Connectors, target: &ProbeTarget, idle: Option<Connection>) -> Attempt {
    let ProbeTarget { upstream, probe } = target;
    let timeout = probe.timeout;
    match &probe.kind {
        ProbeKind::Tcp => {
            let opened = tokio::time::timeout(timeout, dial_and_close(*upstream)).await;
            Attempt { outcome: outcome(opened.unwrap_or(Err(Failure::Timeout))), idle: None }
        }
        ProbeKind::Http(probe) => {
            let call = Call { connectors, target, probe };
            let mut refused = None;
            let ended = tokio::time::timeout(timeout, call.make(idle, &mut refused)).await;
            let (result, idle) = match ended.unwrap_or(Err(Failure::Timeout)) {
                Ok(idle) => (Ok(()), idle),
                Err(failure) => (Err(failure), None),
            };
            // A status that does not pass says more than how its body ended.
            let result = refused.map_or(result, |status| Err(Failure::Status(status)));
            Attempt { outcome: outcome(result), idle }
        }
    }
}

fn outcome(result: Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Pass,
        Err(failure) => Outcome::Fail(failure),
    }
}

/// An HTTP probe.
struct Call<'a> {
    connectors: &'a Connectors,
    target: &'a ProbeTarget,
    probe: &'a HttpProbe,
}

impl Call<'_> {
    /// Gets a whole answer and returns the connection where it can be used again. A status that does not pass is put into
    /// `refused` as soon as it is known, so that it also holds when the rest never comes.
    ///
    /// Redirects are answers like any other: following one would ask somebody else.
    async fn make(&self, idle: Option<Connection>, refused: &mut Option<u16>) -> Result<Option<Connection>, Failure> {
        let answer = self.answer(idle).await?;
        let status = answer.status();
        let HttpProbe { status: expected, body, .. } = self.probe;
        if !expected.iter().any(|range| range.contains(status)) {
            *refused = Some(status);
        }
        let Some(expectation) = body.as_ref().filter(|_| refused.is_none()) else {
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
    async fn answer(&self, idle: Option<Connection>) -> Result<Answer, Failure> {
        let host = self.host_header();
        let question = Question { path: self.probe.path.as_str(), host: &host };
        if let Some(stream) = idle {
            match ask(stream, question).await {
                Err(unanswered) if unanswered.may_be_stale => {}
                result => return result.map_err(|unanswered| unanswered.failure),
            }
        }
        let stream = self.open().await?;
        ask(stream, question).await.map_err(|unanswered| unanswered.failure)
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let stream = dial(self.target.upstream).await?;
        match &self.probe.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => self.connectors.secure(stream, self.target.upstream, tls, self.probe.host.as_ref()).await,
        }
    }

    fn host_header(&self) -> String {
        self.probe.host.as_ref().map_or_else(|| self.target.upstream.to_string(), ToString::to_string)
    }
}
