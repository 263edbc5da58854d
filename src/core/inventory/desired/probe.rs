use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::{BodyExpectation, SecretName, SecretText, Tries, UpstreamTls};
use crate::core::inventory::doc::StatusRange;
use crate::core::model::{Hostname, RequestPath};

/// How a backend is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is tried.
    pub tries: Tries,
    /// Time between two probes.
    pub interval: Duration,
    /// Time between two probes while the backend is in doubt; at most `interval`.
    pub fast_interval: Duration,
    /// Time between two probes while the backend is in doubt and clients meet its errors; at most `fast_interval`.
    pub confirm_interval: Duration,
    /// Time that a whole probe may take; at most `interval`.
    pub timeout: Duration,
    /// An answer that takes longer is too slow; shorter than `timeout`.
    pub latency: Option<Duration>,
    /// How long the failures of a backend that is new do not count.
    pub grace: Duration,
    /// Days that the backend's certificate should have left; with fewer, the status warns. None: it never does.
    pub certificate_days: Option<u32>,
    /// True: what the backend says of itself counts.
    pub report: bool,
    /// Passes in a row that bring the backend up; at least 1.
    pub rise: u32,
    /// Failures in a row that take it down; at least 1.
    pub fall: u32,
}

impl Probe {
    /// A probe each 5 s, with the defaults of an inventory.
    pub const fn new(kind: ProbeKind) -> Self {
        Self {
            tries: Tries::One(kind),
            interval: Self::INTERVAL,
            fast_interval: Self::FAST_INTERVAL_MAX,
            confirm_interval: Self::CONFIRM_INTERVAL_MAX,
            timeout: Self::TIMEOUT_MAX,
            latency: None,
            grace: Duration::ZERO,
            certificate_days: None,
            report: false,
            rise: 2,
            fall: 3,
        }
    }

    /// Time between two probes where the service names none.
    pub const INTERVAL: Duration = Duration::from_secs(5);
    /// Longest time between two probes of a backend in doubt where the service names none. A second: with three failures to
    /// take a backend down, ten of those seconds that clients would otherwise wait are gone, and a blip of a second or two
    /// still is none.
    pub const FAST_INTERVAL_MAX: Duration = Duration::from_secs(1);
    /// Longest time between two probes of a backend in doubt while clients meet its errors, where the service names no time
    /// for doubt. Two to three failures are then seen within a third of a second, and what fails for a tenth of one is not
    /// taken out.
    pub const CONFIRM_INTERVAL_MAX: Duration = Duration::from_millis(150);
    /// Longest probe where the service names no limit; never longer than the interval.
    pub const TIMEOUT_MAX: Duration = Duration::from_secs(2);

    /// The secrets that it needs, each with the header that carries it.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &SecretName)> {
        let headers = self.tries.kinds().filter_map(ProbeKind::headers).flatten();
        headers.flat_map(|(header, text)| text.names().map(|name| (header.as_str(), name)))
    }

    /// What an answer may take to pass.
    pub fn patience(&self) -> Duration {
        self.latency.unwrap_or(self.timeout)
    }
}

/// One thing that can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// A request over the service's upstream protocol.
    Http(HttpProbe),
    /// A gRPC health check over the service's upstream protocol.
    Grpc(GrpcProbe),
    /// A TCP connection.
    Tcp,
}

impl ProbeKind {
    /// The headers that it declares; none where it has no headers.
    fn headers(&self) -> Option<&BTreeMap<String, SecretText>> {
        match self {
            Self::Http(probe) => Some(&probe.headers),
            Self::Grpc(probe) => Some(&probe.headers),
            Self::Tcp => None,
        }
    }

    /// What is asked of an address, in one text.
    pub(super) fn identity(&self, upstream: SocketAddr) -> String {
        match self {
            Self::Tcp => format!("tcp {upstream}"),
            Self::Http(probe) => format!("http {upstream} {}", probe.identity()),
            Self::Grpc(probe) => format!("grpc {upstream} {}", probe.identity()),
        }
    }
}

/// Method of a probe's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeMethod {
    /// GET.
    Get,
    /// HEAD: its answer has no body.
    Head,
    /// OPTIONS.
    Options,
}

impl ProbeMethod {
    /// The method as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

/// What is asked over HTTP, and which answer passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Method of the request.
    pub method: ProbeMethod,
    /// Path and query.
    pub path: RequestPath,
    /// Value of the `Host` header (and the TLS server name, where the upstream has none): the one that the probe declares,
    /// else the service's first domain without a wildcard.
    pub host: Option<Hostname>,
    /// Other headers.
    pub headers: BTreeMap<String, SecretText>,
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
        let (method, headers) = (ProbeMethod::Get, BTreeMap::new());
        Self { method, path, host: None, headers, tls: None, status: vec![StatusRange::SUCCESS], body: None }
    }

    /// The question in one text. What is not declared is not in it, so that a new version with new keys asks the same as
    /// the one before, and believes what that has stored.
    pub(super) fn identity(&self) -> String {
        let Self { method, path, host, headers, tls, status, body } = self;
        let mut text = format!("{path} {host:?} {tls:?} {status:?}");
        // Writing to a String cannot fail.
        if let Some(body) = body {
            let _ = write!(text, " body {body:?}");
        }
        if *method != ProbeMethod::Get {
            let _ = write!(text, " method {}", method.as_str());
        }
        if !headers.is_empty() {
            let _ = write!(text, " headers {:?}", written(headers));
        }
        text
    }
}

/// Headers as the inventory has them.
fn written(headers: &BTreeMap<String, SecretText>) -> BTreeMap<&str, String> {
    headers.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect()
}

/// What is asked by `grpc.health.v1.Health/Check`. The answer that passes is `SERVING`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrpcProbe {
    /// The service whose health is asked for, by its gRPC name; empty: that of the server as a whole.
    pub service: String,
    /// The authority of the request (and the TLS server name, where the upstream has none), as with [`HttpProbe::host`].
    pub host: Option<Hostname>,
    /// Other headers.
    pub headers: BTreeMap<String, SecretText>,
    /// TLS settings, where the upstream speaks HTTPS.
    pub tls: Option<UpstreamTls>,
}

impl GrpcProbe {
    /// The question in one text, as with [`HttpProbe::identity`].
    fn identity(&self) -> String {
        let Self { service, host, headers, tls } = self;
        let mut text = format!("{service:?} {host:?} {tls:?}");
        if !headers.is_empty() {
            let _ = write!(text, " headers {:?}", written(headers));
        }
        text
    }
}
