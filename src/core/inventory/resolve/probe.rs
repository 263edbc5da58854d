use std::time::Duration;

use super::super::desired::{BodyExpectation, BodyPattern, HttpProbe, Probe, ProbeKind, ProbeMethod, UpstreamProtocol};
use super::super::doc::{BodyDoc, ExpectDoc, HealthDoc, HealthTypeDoc, MethodDoc, ProbeTlsDoc, StatusRange};
use crate::core::model::{Hostname, RequestPath, TimeSpan};

/// Days that a certificate should have left where the service says nothing: by then, what renews itself has had two weeks to
/// (a third of 90 days is left when it begins to), and a person still has two.
const CERTIFICATE_DAYS: u32 = 14;

/// The times of a probe, where they are not written too.
impl HealthDoc {
    /// Time between two probes of one backend.
    pub(in crate::core::inventory) fn interval(&self) -> Duration {
        self.interval.map_or(Probe::INTERVAL, TimeSpan::get)
    }

    /// Time that a whole probe may take.
    pub(in crate::core::inventory) fn timeout(&self) -> Duration {
        self.timeout.map_or(Probe::TIMEOUT_MAX.min(self.interval()), TimeSpan::get)
    }
}

/// The probe of a service; without `health`, a TCP connection.
pub(super) fn probe_of(
    health: Option<HealthDoc>,
    first_domain: Option<Hostname>,
    upstream: &UpstreamProtocol,
) -> Probe {
    let Some(health) = health else { return Probe::new(ProbeKind::Tcp) };
    let (interval, timeout) = (health.interval(), health.timeout());
    let HealthDoc {
        kind,
        path,
        method,
        host,
        headers,
        interval: _,
        fast_interval,
        timeout: _,
        latency,
        grace,
        rise,
        fall,
        expect,
        tls: certificate,
        report,
    } = health;
    let tls = match upstream {
        UpstreamProtocol::Http => None,
        UpstreamProtocol::Https(tls) => Some(tls.clone()),
    };
    let ProbeTlsDoc { min_days } = certificate.unwrap_or_default();
    let default_days = tls.as_ref().map(|tls| if tls.verify { CERTIFICATE_DAYS } else { 0 });
    let kind = match kind {
        HealthTypeDoc::Tcp => ProbeKind::Tcp,
        HealthTypeDoc::Http => {
            let path = path.unwrap_or_else(RequestPath::root);
            let ExpectDoc { mut status, body } = expect.unwrap_or_default();
            if status.is_empty() {
                status.push(StatusRange::SUCCESS);
            }
            let (method, host) = (method_of(method), host.or(first_domain));
            ProbeKind::Http(HttpProbe { method, path, host, headers, tls, status, body: body.and_then(body_of) })
        }
    };
    let Probe { rise: default_rise, fall: default_fall, .. } = Probe::new(ProbeKind::Tcp);
    Probe {
        kind,
        interval,
        fast_interval: fast_interval.map_or(Probe::FAST_INTERVAL_MAX.min(interval), TimeSpan::get),
        timeout,
        latency: latency.map(TimeSpan::get),
        grace: grace.map(TimeSpan::get).unwrap_or_default(),
        certificate_days: min_days.or(default_days).filter(|days| *days > 0),
        report,
        rise: rise.unwrap_or(default_rise),
        fall: fall.unwrap_or(default_fall),
    }
}

const fn method_of(doc: Option<MethodDoc>) -> ProbeMethod {
    match doc {
        None | Some(MethodDoc::Get) => ProbeMethod::Get,
        Some(MethodDoc::Head) => ProbeMethod::Head,
        Some(MethodDoc::Options) => ProbeMethod::Options,
    }
}

fn body_of(doc: BodyDoc) -> Option<BodyExpectation> {
    match doc {
        BodyDoc { contains: Some(text), .. } => Some(BodyExpectation::Contains(text)),
        BodyDoc { matches: Some(pattern), .. } => BodyPattern::compile(&pattern).ok().map(BodyExpectation::Matches),
        BodyDoc { json: Some(pointer), equals: Some(equals), .. } => Some(BodyExpectation::Json { pointer, equals }),
        BodyDoc { .. } => None,
    }
}
