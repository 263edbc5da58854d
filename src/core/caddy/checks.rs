use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::chain::Requests;
use super::handler::go_duration;
use super::json::{Active, Passive};
use super::relay;
use crate::core::inventory::{
    Backend, BodyExpectation, Edge, HttpProbe, Probe, ProbeKind, ProbeMethod, Relay, Service, StatusRange, Tries,
    UpstreamProtocol,
};
use crate::core::routing::{Effective, EffectiveService};

/// How long Caddy leaves out an upstream after one failure, by itself: no longer than the probes need to find that it is
/// back, so that it does not delay the return, and as long as that, so that a dead machine costs few stalls until it is
/// judged down.
const PASSIVE_FAIL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);
/// Times between two checks of one upstream through the relay, below a second. A verdict acts after two of them, at most. An
/// edge has the first one as long as its checks are within what it makes in a second.
const RELAY_INTERVALS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(500)];
/// Checks through the relay that an edge makes in a second; with more upstreams the interval grows. Measured on Caddy 2.11
/// (`benches/relay.rs`): 200 a second cost it 0.08 of a core and bascule 0.006, so these cost a tenth of one.
const RELAY_CHECKS_PER_SECOND: u64 = 250;
/// Failures after which Caddy believes the relay. Not one: the first checks of a new configuration may meet the moment in
/// which the relay changes hands with it, and a tier would be empty for an interval. The next one comes an interval later, when
/// that is over: also with the shortest one, two in a row were not seen in 60 loads of 40 upstreams under full load.
const RELAY_FAILS: u32 = 2;
/// An edge with more upstreams than this has no active checks, and chains without a sweep. At every push Caddy makes all
/// checks at once and builds every handler anew: with 4,000 upstreams a push took most of a minute and requests waited for
/// seconds, without checks neither did.
const LARGE: usize = 1_500;

/// What the active checks of an edge ask.
#[derive(Debug, Clone, Copy)]
pub(super) enum Checking<'e> {
    /// The relay: bascule's answer is what counts, and the backend's own while bascule is away.
    Relay {
        /// The edge, by which bascule knows who asks.
        edge: &'e Edge,
        /// Where the relay is.
        relay: &'e Relay,
        /// Time between two checks of one upstream.
        interval: Duration,
    },
    /// The backends themselves; every observed change is pushed.
    Backends,
    /// Nobody: there are too many. Every observed change is pushed.
    Nobody,
}

impl<'e> Checking<'e> {
    /// True for checks that go through a relay.
    pub(super) const fn is_relay(&self) -> bool {
        matches!(self, Self::Relay { .. })
    }

    /// The edge and its relay, where it tells of the errors that clients meet.
    pub(super) fn evidence(&self) -> Option<(&'e Edge, &'e Relay)> {
        match *self {
            Self::Relay { edge, relay, .. } if relay.evidence => Some((edge, relay)),
            Self::Relay { .. } | Self::Backends | Self::Nobody => None,
        }
    }

    /// True for an edge whose configuration is kept small.
    pub(super) const fn is_lean(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    /// What the checks of this edge ask, and how often.
    pub(super) fn of(effective: &Effective, edge: &'e Edge) -> Self {
        let checked = |it: &Arc<EffectiveService>| it.members.len() * Requests::of(&it.service).len();
        let upstreams: usize = effective.services.values().map(checked).sum();
        match &edge.relay {
            _ if upstreams > LARGE => Self::Nobody,
            None => Self::Backends,
            Some(relay) => {
                Self::Relay { edge, relay, interval: relay_interval(u64::try_from(upstreams).unwrap_or(u64::MAX)) }
            }
        }
    }
}

/// Time between two checks of one upstream, of so many.
///
/// In few steps, so that one backend more or less does not change every service's check: whole seconds past the first.
fn relay_interval(upstreams: u64) -> Duration {
    let [shortest, short] = RELAY_INTERVALS;
    if upstreams * 4 <= RELAY_CHECKS_PER_SECOND {
        shortest
    } else {
        short.max(Duration::from_secs(upstreams / RELAY_CHECKS_PER_SECOND))
    }
}

/// After one failure, since a try for each upstream must not meet the same dead one twice.
pub(super) fn passive(service: &Service) -> Passive {
    let Probe { interval, rise, .. } = &service.probe;
    let fail_duration = interval.saturating_mul(*rise).clamp(*PASSIVE_FAIL.start(), *PASSIVE_FAIL.end());
    Passive { fail_duration: go_duration(fail_duration), max_fails: 1 }
}

/// The active checks of a tier.
pub(super) fn active<'e>(
    service: &'e Service,
    checking: &Checking<'e>,
    backends: &[&'e Arc<Backend>],
) -> Option<Active<'e>> {
    match *checking {
        Checking::Relay { edge, relay, interval } if is_relayed(service) => {
            Some(through_relay(service, edge, relay, interval, backends))
        }
        Checking::Relay { .. } | Checking::Backends => direct(service, backends),
        Checking::Nobody => None,
    }
}

/// True where the relay can ask for a service. Caddy checks over the transport of the service, and the relay speaks no TLS.
pub fn is_relayed(service: &Service) -> bool {
    matches!(service.upstream, UpstreamProtocol::Http)
}

/// The probe of all backends of a tier; none where they are probed differently.
fn common_probe<'e>(backends: &[&'e Arc<Backend>]) -> Option<&'e Probe> {
    let probe = &backends.first()?.probe;
    backends.iter().all(|backend| backend.probe == *probe).then_some(probe)
}

/// Caddy's own check of the backends.
///
/// None where Caddy cannot ask the same question as the probe, since a check that judges differently would take out what
/// the probe finds good: a probe by TCP or gRPC, several tries, different paths in one service, statuses that Caddy cannot
/// say, or a secret, which Caddy is never given. A body that Caddy cannot judge is left to the probe: a check that asks less takes out nothing that is good. An answer
/// that is too slow is none to Caddy.
fn direct<'e>(service: &'e Service, backends: &[&'e Arc<Backend>]) -> Option<Active<'e>> {
    let probe = common_probe(backends)?;
    let Probe { tries, interval, rise, fall, .. } = probe;
    let Tries::One(ProbeKind::Http(question)) = tries else { return None };
    let headers = headers(service, question)?;
    let HttpProbe { method, path, host: _, headers: _, tls: _, status, body } = question;
    let expect_body = body.as_ref().and_then(expected_body);
    Some(Active {
        max_size: expect_body.as_ref().map(|_| BodyExpectation::READ_MAX),
        expect_body,
        expect_status: Some(expected_status(status)?).filter(|status| *status != 0),
        fails: *fall,
        headers,
        interval: go_duration(*interval),
        method: not_get(*method),
        passes: *rise,
        timeout: go_duration(probe.patience()),
        upstream: None,
        uri: path.as_str(),
    })
}

/// The headers of a check: those of the probe, with the name that it asks for. None where one has a secret.
fn headers<'e>(service: &'e Service, question: &'e HttpProbe) -> Option<BTreeMap<&'e str, [String; 1]>> {
    let host = question.host.as_ref().or_else(|| service.domains.iter().find(|host| !host.is_wildcard()));
    let declared = question.headers.iter();
    let declared = declared.map(|(name, value)| Some((name.as_str(), [value.literal()?.to_owned()])));
    declared.chain(host.map(|host| Some(("Host", [host.to_string()])))).collect()
}

/// Caddy's default is left out, as it was before there was another.
const fn not_get(method: ProbeMethod) -> Option<&'static str> {
    match method {
        ProbeMethod::Get => None,
        ProbeMethod::Head | ProbeMethod::Options => Some(method.as_str()),
    }
}

/// The check by way of the relay. One answer decides: bascule has counted rise and fall already.
fn through_relay<'e>(
    service: &'e Service,
    edge: &Edge,
    relay: &Relay,
    interval: Duration,
    backends: &[&'e Arc<Backend>],
) -> Active<'e> {
    let mut asked = BTreeMap::from([
        (relay::EDGE, [edge.name.to_string()]),
        (relay::SERVICE, [service.name.to_string()]),
        (relay::UPSTREAM, ["{http.reverse_proxy.active.target_upstream}".to_owned()]),
    ]);
    let probe = common_probe(backends);
    let question = probe.and_then(|probe| match &probe.tries {
        Tries::One(ProbeKind::Http(question)) => {
            Some((question, expected_status(&question.status)?, headers(service, question)?))
        }
        Tries::One(ProbeKind::Grpc(_) | ProbeKind::Tcp) | Tries::All(_) | Tries::Any(_) => None,
    });
    let timeout = relay::DEADLINE + probe.map_or(Duration::ZERO, Probe::patience);
    let (mut expect_status, mut method, mut uri) = (None, None, "/");
    if let Some((question, status, headers)) = question {
        uri = question.path.as_str();
        method = not_get(question.method);
        expect_status = Some(status).filter(|status| *status != 0);
        if let Some(pass) = question.status.first().map(|range| range.first()).filter(|pass| *pass != 200) {
            asked.insert(relay::PASS, [pass.to_string()]);
        }
        asked.extend(headers);
    } else {
        asked.insert(relay::DIRECT, [relay::NOWHERE.to_owned()]);
    }
    Active {
        // The relay's own answers have no body, and one check takes both those and the backend's.
        expect_body: None,
        max_size: None,
        expect_status,
        fails: RELAY_FAILS,
        headers: asked,
        interval: go_duration(interval),
        method,
        passes: 1,
        timeout: go_duration(timeout),
        upstream: Some(relay.listen.caddy_address()),
        uri,
    }
}

/// The statuses as Caddy says them: one status, one class as its first digit, or 0 for its default of 200 to 399.
fn expected_status(expect: &[StatusRange]) -> Option<u16> {
    let [range] = expect else { return None };
    match (range.first(), range.last()) {
        (200, 399) => Some(0),
        (first, last) if first == last => Some(first),
        (first, last) if first % 100 == 0 && last == first + 99 => Some(first / 100),
        _ => None,
    }
}

/// The body as Caddy says it: a regular expression of Go. None where that might mean something else there than here.
fn expected_body(body: &BodyExpectation) -> Option<String> {
    match body {
        BodyExpectation::Contains(text) => is_plain(text).then(|| regex::escape(text)),
        BodyExpectation::Matches(pattern) => is_the_same_in_go(pattern.as_str()).then(|| pattern.as_str().to_owned()),
        BodyExpectation::Json { .. } => None,
    }
}

/// Printable ASCII without the braces of Caddy's placeholders.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'{' && byte != b'}')
}

/// True for expressions of the part that both languages share: characters, `.`, groups, alternatives, anchors and single
/// repetitions. Classes and escapes differ (`\d` is Unicode here and ASCII there, `[a&&b]` only works here), and so do flags
/// and stacked repetitions, which Go refuses together with the whole configuration.
fn is_the_same_in_go(pattern: &str) -> bool {
    let is_repetition = |byte: u8| matches!(byte, b'*' | b'+' | b'?');
    let mut run = 0;
    let is_stacked = pattern.bytes().any(|byte| {
        run = if is_repetition(byte) { run + 1 } else { 0 };
        run > 1
    });
    is_plain(pattern) && !pattern.contains(['\\', '[', ']']) && !pattern.contains("(?") && !is_stacked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::inventory::BodyPattern;

    #[test]
    fn checks_are_as_frequent_as_an_edge_can_make_them() {
        for (upstreams, millis) in
            [(0, 250), (62, 250), (63, 500), (250, 1_000), (499, 1_000), (500, 2_000), (1_500, 6_000)]
        {
            assert_eq!(relay_interval(upstreams), Duration::from_millis(millis), "{upstreams}");
        }
    }

    #[test]
    fn only_what_means_the_same_is_asked_by_caddy() {
        for (pattern, is_asked) in [
            ("^(ok|ready).*$", true),
            ("a+b?c*", true),
            (r"\d+", false),
            ("[a-z]", false),
            ("a{2}", false),
            ("(?i)ok", false),
            ("a+?", false),
            ("a**", false),
            ("prêt", false),
        ] {
            let compiled = BodyPattern::compile(pattern).expect("an expression");
            let asked = expected_body(&BodyExpectation::Matches(compiled));
            assert_eq!(asked.as_deref(), is_asked.then_some(pattern), "{pattern}");
        }
        let contains = |text: &str| expected_body(&BodyExpectation::Contains(text.to_owned()));
        assert_eq!(contains("v1.2 (ok)").as_deref(), Some(r"v1\.2 \(ok\)"));
        assert_eq!(contains(r#"{"status":"ok"}"#), None);
    }
}
