use std::time::Duration;

use super::{BodyExpectation, UpstreamTls};
use crate::core::inventory::doc::StatusRange;
use crate::core::model::{Hostname, RequestPath};

/// How a backend is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is tried.
    pub kind: ProbeKind,
    /// Time between two probes.
    pub interval: Duration,
    /// Time that a whole probe may take; at most `interval`.
    pub timeout: Duration,
    /// Passes in a row that bring the backend up; at least 1.
    pub rise: u32,
    /// Failures in a row that take it down; at least 1.
    pub fall: u32,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// A request over the service's upstream protocol.
    Http(HttpProbe),
    /// A TCP connection.
    Tcp,
}

/// What is asked over HTTP, and which answer passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Path and query.
    pub path: RequestPath,
    /// Value of the `Host` header (and the TLS server name): the service's first domain without a wildcard.
    pub host: Option<Hostname>,
    /// TLS settings, where the upstream speaks HTTPS.
    pub tls: Option<UpstreamTls>,
    /// Statuses that pass; at least one range.
    pub status: Vec<StatusRange>,
    /// What the body has to say.
    pub body: Option<BodyExpectation>,
}

impl HttpProbe {
    /// A question that takes any success for a pass.
    pub fn new(path: RequestPath) -> Self {
        Self { path, host: None, tls: None, status: vec![StatusRange::SUCCESS], body: None }
    }

    /// The question in one text. What is not declared is not in it, so that a new version with new keys asks the same as
    /// the one before, and believes what that has stored.
    pub(super) fn identity(&self) -> String {
        let Self { path, host, tls, status, body } = self;
        let body = body.as_ref().map(|body| format!(" body {body:?}")).unwrap_or_default();
        format!("{path} {host:?} {tls:?} {status:?}{body}")
    }
}
