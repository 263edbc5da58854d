use std::time::Duration;

use super::super::desired::{
    BodyExpectation, BodyPattern, GrpcProbe, HttpProbe, Probe, ProbeKind, ProbeMethod, SecretText, Tries, Try,
    UpstreamProtocol, UpstreamTls,
};
use super::super::doc::{BodyDoc, ExpectDoc, HealthDoc, HealthTypeDoc, MethodDoc, StatusRange, TryDoc};
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
    first_domain: Option<&Hostname>,
    upstream: &UpstreamProtocol,
) -> Probe {
    let Some(health) = health else { return Probe::new(ProbeKind::Tcp) };
    let (one, interval, timeout) = (health.one(), health.interval(), health.timeout());
    let HealthDoc { fast_interval, latency, grace, rise, fall, report, all, any, .. } = health;
    let tls_of_upstream = match upstream {
        UpstreamProtocol::Http => None,
        UpstreamProtocol::Https(tls) => Some(tls),
    };
    let default_days = tls_of_upstream.map_or(0, |tls| if tls.verify { CERTIFICATE_DAYS } else { 0 });
    let days_of = |doc: &TryDoc| doc.tls.as_ref().and_then(|tls| tls.min_days).unwrap_or(default_days);
    let days = all.iter().chain(&any).map(days_of).max().unwrap_or_else(|| days_of(&one));
    let each = |docs: Vec<TryDoc>| {
        let try_of = |doc: TryDoc| {
            let port = doc.port;
            Try { port, kind: kind_of(doc, first_domain, tls_of_upstream) }
        };
        docs.into_iter().map(try_of).collect()
    };
    let tries = if !all.is_empty() {
        Tries::All(each(all))
    } else if !any.is_empty() {
        Tries::Any(each(any))
    } else {
        Tries::One(kind_of(one, first_domain, tls_of_upstream))
    };
    let Probe { rise: default_rise, fall: default_fall, .. } = Probe::new(ProbeKind::Tcp);
    // Who says how often a backend in doubt may be asked has said it for every doubt.
    let written = fast_interval.map(TimeSpan::get);
    let fast_interval = written.unwrap_or(Probe::FAST_INTERVAL_MAX.min(interval));
    let confirm_interval = written.unwrap_or(Probe::CONFIRM_INTERVAL_MAX.min(interval));
    Probe {
        tries,
        interval,
        fast_interval,
        confirm_interval,
        timeout,
        latency: latency.map(TimeSpan::get),
        grace: grace.map(TimeSpan::get).unwrap_or_default(),
        certificate_days: Some(days).filter(|days| *days > 0),
        report,
        rise: rise.unwrap_or(default_rise),
        fall: fall.unwrap_or(default_fall),
    }
}

/// What is tried, of a service with this first domain and TLS towards its backends.
fn kind_of(doc: TryDoc, first_domain: Option<&Hostname>, tls: Option<&UpstreamTls>) -> ProbeKind {
    let TryDoc { kind, port: _, service, path, method, host, headers, expect, tls: _ } = doc;
    let (host, tls) = (host.or_else(|| first_domain.cloned()), tls.cloned());
    let headers = headers.into_iter().map(|(name, value)| (name, secret_text(&value))).collect();
    match kind.unwrap_or_default() {
        HealthTypeDoc::Tcp => ProbeKind::Tcp,
        HealthTypeDoc::Http => {
            let path = path.unwrap_or_else(RequestPath::root);
            let ExpectDoc { mut status, body } = expect.unwrap_or_default();
            if status.is_empty() {
                status.push(StatusRange::SUCCESS);
            }
            let (method, body) = (method_of(method), body.and_then(body_of));
            ProbeKind::Http(HttpProbe { method, path, host, headers, tls, status, body })
        }
        HealthTypeDoc::Grpc => ProbeKind::Grpc(GrpcProbe { service: service.unwrap_or_default(), host, headers, tls }),
    }
}

/// What cannot be read has been refused by the rules.
fn secret_text(value: &str) -> SecretText {
    value.parse().unwrap_or_else(|_| SecretText::from(value))
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
