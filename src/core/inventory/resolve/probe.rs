use super::super::desired::{
    BodyExpectation, BodyPattern, GrpcProbe, HttpProbe, Probe, ProbeKind, ProbeMethod, UpstreamProtocol,
};
use super::super::doc::{BodyDoc, ExpectDoc, HealthDoc, HealthTypeDoc, MethodDoc, ProbeTlsDoc, StatusRange};
use crate::core::model::{Hostname, RequestPath, TimeSpan};

/// Days that a certificate should have left where the service says nothing: by then, what renews itself has had two weeks to
/// (a third of 90 days is left when it begins to), and a person still has two.
const CERTIFICATE_DAYS: u32 = 14;

/// The probe of a service; without `health`, a TCP connection.
pub(super) fn probe_of(
    health: Option<HealthDoc>,
    first_domain: Option<Hostname>,
    upstream: &UpstreamProtocol,
) -> Probe {
    let Some(health) = health else { return Probe::new(ProbeKind::Tcp) };
    let HealthDoc {
        kind,
        service,
        path,
        method,
        host,
        headers,
        interval,
        fast_interval,
        timeout,
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
        HealthTypeDoc::Grpc => {
            let (service, host) = (service.unwrap_or_default(), host.or(first_domain));
            ProbeKind::Grpc(GrpcProbe { service, host, headers, tls })
        }
    };
    let Probe { rise: default_rise, fall: default_fall, .. } = Probe::new(ProbeKind::Tcp);
    let interval = interval.map_or(Probe::INTERVAL, TimeSpan::get);
    Probe {
        kind,
        interval,
        fast_interval: fast_interval.map_or(Probe::FAST_INTERVAL_MAX.min(interval), TimeSpan::get),
        timeout: timeout.map_or(Probe::TIMEOUT_MAX.min(interval), TimeSpan::get),
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
