use std::fmt::Debug;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value;

use crate::core::inventory::doc::{
    BackendDoc, BodyDoc, ConnectionsDoc, EdgeDoc, ExpectDoc, FailbackDoc, GuardDoc, HealthDoc, HealthTypeDoc,
    MethodDoc, Minimum, PageDoc, PolicyDoc, ProbeTlsDoc, RelayDoc, RoutingDoc, ScopeDoc, ServiceDoc, SiteDoc, StateDoc,
    StatusRange, Sticky, TimeoutsDoc, TlsDoc, TlsModeDoc, TryDoc, TunnelDoc, UpstreamDoc, UpstreamProtocolDoc,
    WhenAllDownDoc, WireguardDoc,
};
use crate::core::model::{DialAddress, Email, Hostname, Listener, PathPrefix, Port, RequestPath, TimeSpan};

pub(super) fn site() -> impl Strategy<Value = SiteDoc> {
    (name(), of(description()), some(subnet()), of(tunnel()), any::<bool>(), tags()).prop_map(
        |(name, description, subnets, tunnel, maintenance, tags)| SiteDoc {
            name,
            description,
            subnets,
            tunnel,
            maintenance,
            tags,
        },
    )
}

fn tunnel() -> impl Strategy<Value = TunnelDoc> {
    let wireguard = (parsed("[a-z_=+][a-z0-9_=+.-]{0,14}"), parsed("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="))
        .prop_map(|(interface, peer)| WireguardDoc { interface, peer });
    let gateway = parsed("10\\.200\\.[0-9]\\.1(:[1-9][0-9]{0,3})?|fd00::[1-9]|\\[fd00::1\\]:[1-9][0-9]{0,3}");
    (of(wireguard), of(gateway)).prop_map(|(wireguard, gateway)| TunnelDoc { wireguard, gateway })
}

pub(super) fn service() -> impl Strategy<Value = ServiceDoc> {
    let head = (name(), of(description()), some(hostname()), prop::collection::vec(path_prefix(), 0..3));
    let body = (of(health()), of(routing()), of(upstream()), of(timeouts()), any::<[bool; 2]>(), tags());
    (head, body).prop_map(
        |(
            (name, description, domains, paths),
            (health, routing, upstream, timeouts, [maintenance, critical], tags),
        )| ServiceDoc {
            name,
            description,
            domains,
            paths,
            health,
            routing,
            upstream,
            timeouts,
            maintenance,
            critical,
            tags,
        },
    )
}

pub(super) fn backend() -> impl Strategy<Value = BackendDoc> {
    let health = prop_oneof![
        "/[a-z0-9/]{0,8}".prop_filter("no double slash", |path| !path.starts_with("//")),
        "https?://10\\.0\\.0\\.[1-9]:[1-9][0-9]{1,3}/[a-z]{0,8}",
    ];
    let state = prop::sample::select(&[StateDoc::Active, StateDoc::Drain, StateDoc::Disabled][..]);
    let names = (name(), name(), name());
    (names, any::<IpAddr>(), any::<Port>(), of(health), 0u16..=1000, tags(), state).prop_map(
        |((name, service, site), addr, port, health, weight, tags, state)| BackendDoc {
            name,
            service,
            site,
            addr,
            port,
            health,
            weight,
            tags,
            state,
        },
    )
}

pub(super) fn edge() -> impl Strategy<Value = EdgeDoc> {
    let admin = prop_oneof![
        parsed("http://(127\\.0\\.0\\.1|caddy|\\[::1\\])(:[1-9][0-9]{0,3})?/?"),
        parsed("unix//run/[a-z]{1,8}/[a-z]{1,8}\\.sock"),
    ];
    let listen = prop_oneof![
        parsed::<Listener>("(https?://)?:[1-9][0-9]{0,3}"),
        parsed::<Listener>("(https?://)?(10\\.0\\.0\\.1|\\[::1\\]):[1-9][0-9]{0,3}"),
    ];
    let mode = prop::sample::select(&[TlsModeDoc::Acme, TlsModeDoc::Internal, TlsModeDoc::Edge, TlsModeDoc::Off][..]);
    let tls = (mode, of(parsed::<Email>("[a-z.+]{1,8}@[a-z]{1,8}\\.example")))
        .prop_map(|(mode, email)| TlsDoc { mode, email });
    let relay = (of(any::<bool>()), of(dial()), of(parsed("127\\.0\\.0\\.1:[1-9][0-9]{0,3}")), of(any::<bool>()))
        .prop_map(|(enabled, bascule, listen, evidence)| RelayDoc { enabled, bascule, listen, evidence });
    let scope = prop::sample::select(&[ScopeDoc::Config, ScopeDoc::Server][..]);
    (name(), admin, some(listen), tls, of(scope), of(relay), of(span())).prop_map(
        |(name, admin, listen, tls, scope, relay, grace)| EdgeDoc { name, admin, listen, tls, scope, relay, grace },
    )
}

fn dial() -> impl Strategy<Value = DialAddress> {
    prop_oneof![
        parsed("(127\\.0\\.0\\.1|bascule|\\[::1\\]):[1-9][0-9]{0,3}"),
        parsed("unix//run/[a-z]{1,8}/[a-z]{1,8}\\.sock"),
    ]
}

fn one_try() -> impl Strategy<Value = TryDoc> {
    let kind = prop::sample::select(&[HealthTypeDoc::Http, HealthTypeDoc::Grpc, HealthTypeDoc::Tcp][..]);
    let statuses = prop::collection::vec(parsed::<StatusRange>("[1-5][0-9]{2}"), 0..3);
    let expect = (statuses, of(body())).prop_map(|(status, body)| ExpectDoc { status, body });
    let path = parsed::<RequestPath>("/([a-z][a-z0-9?=&%-]{0,8})?");
    let method = prop::sample::select(&[MethodDoc::Get, MethodDoc::Head, MethodDoc::Options][..]);
    let headers = prop::collection::btree_map("[A-Za-z-]{1,8}", "[ -z]{0,8}", 0..3);
    let tls = of(0u32..=3650).prop_map(|min_days| ProbeTlsDoc { min_days });
    let asked = (of("[a-z.{}]{1,8}"), of(path), of(method), of(hostname()), headers);
    (of(kind), of(any::<Port>()), asked, of(expect), of(tls)).prop_map(
        |(kind, port, (service, path, method, host, headers), expect, tls)| TryDoc {
            kind,
            port,
            service,
            path,
            method,
            host,
            headers,
            expect,
            tls,
        },
    )
}

fn health() -> impl Strategy<Value = HealthDoc> {
    let times = (of(span()), of(span()), of(span()), of(span()), of(span()));
    let tries = || prop::collection::vec(one_try(), 0..3);
    (one_try(), times, of(1u32..=100), of(1u32..=100), any::<bool>(), (tries(), tries())).prop_map(
        |(one, (interval, fast_interval, timeout, latency, grace), rise, fall, report, (all, any))| {
            let TryDoc { kind, port: _, service, path, method, host, headers, expect, tls } = one;
            HealthDoc {
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
                tls,
                report,
                all,
                any,
            }
        },
    )
}

fn body() -> impl Strategy<Value = BodyDoc> {
    let equals = prop_oneof![
        "[a-z{}]{0,8}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from)
    ];
    (of("[a-z{}]{1,8}"), of("[a-z(]{1,8}"), of("(/[a-z]{0,3}){0,3}"), of(equals))
        .prop_map(|(contains, matches, json, equals)| BodyDoc { contains, matches, json, equals })
}

fn routing() -> impl Strategy<Value = RoutingDoc> {
    let policy = prop::sample::select(&[PolicyDoc::Spread, PolicyDoc::Priority, PolicyDoc::Single][..]);
    let tiers = (prop::collection::vec(name(), 0..3), tags());
    let failback = (of(span()), of(span()), of(any::<bool>())).prop_map(|(after, ramp, manual)| FailbackDoc {
        after,
        ramp,
        manual,
    });
    let sticky = parsed::<Sticky>("cookie|client_address|header:[A-Za-z-]{1,8}");
    let when = prop::sample::select(&[WhenAllDownDoc::ServeAll, WhenAllDownDoc::Page][..]);
    let page = (of(200u16..=599), of(span()), of("[a-z<>{}]{0,20}")).prop_map(|(status, retry_after, html)| PageDoc {
        status,
        retry_after,
        html,
    });
    let guard = parsed::<Minimum>("[1-9][0-9]{0,2}|[1-9][0-9]?%").prop_map(|min_healthy| GuardDoc { min_healthy });
    let counts = (of(1u32..=1000), of(span()), of(span()), of(guard));
    (policy, tiers, counts, of(failback), of(sticky), when, of(page)).prop_map(
        |(policy, (sites, tags), (min_healthy, confirm, slow_start, guard), failback, sticky, when_all_down, page)| {
            RoutingDoc {
                policy,
                sites,
                tags,
                min_healthy,
                confirm,
                failback,
                sticky,
                slow_start,
                guard,
                when_all_down,
                page,
            }
        },
    )
}

fn upstream() -> impl Strategy<Value = UpstreamDoc> {
    let protocol = prop::sample::select(&[UpstreamProtocolDoc::Http, UpstreamProtocolDoc::Https][..]);
    let connections = prop::sample::select(&[ConnectionsDoc::Fresh, ConnectionsDoc::Reuse][..]);
    (protocol, of(hostname()), of(connections), of(any::<bool>())).prop_map(
        |(protocol, server_name, connections, verify)| UpstreamDoc { protocol, server_name, connections, verify },
    )
}

fn timeouts() -> impl Strategy<Value = TimeoutsDoc> {
    let spans = (of(span()), of(span()), of(span()), of(span()), of(span()));
    spans.prop_map(|(dial, response, response_unsafe, stream_close, drain)| TimeoutsDoc {
        dial,
        response,
        response_unsafe,
        stream_close,
        drain,
    })
}

/// Names that YAML would read as something else are among them: `null`, `true`, `007`, `1e3`.
fn name<T: FromStr + Debug>() -> impl Strategy<Value = T> {
    parsed("[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?|null|true|off|007|1e3|0x1f")
}

fn tags<T: FromStr + Debug>() -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(name(), 0..3)
}

fn hostname() -> impl Strategy<Value = Hostname> {
    parsed("(\\*\\.)?[a-z0-9]{1,8}(\\.[a-zéß]{1,8}){0,2}\\.[a-z]{2,4}")
}

fn path_prefix() -> impl Strategy<Value = PathPrefix> {
    parsed("/|(/[A-Za-z0-9~!$&'()+,;=:@_-]{1,5}){1,3}(/|/\\*)?")
}

fn span() -> impl Strategy<Value = TimeSpan> {
    parsed("[1-9][0-9]{0,1}(ms|s|m)|[1-9]h")
}

fn subnet() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0u8..=128).prop_map(|(addr, length)| {
        let longest = if addr.is_ipv4() { 32 } else { 128 };
        IpNet::new(addr, length % (longest + 1)).expect("a length of its family")
    })
}

/// Any text that a person may write, colons, hashes, quotes, braces and line breaks included. The writing library speaks
/// YAML 1.1, for which three more characters are line breaks (YAML 1.2.2, section 5.4, "non-break").
fn description() -> impl Strategy<Value = String> {
    let one_more_break = |text: &String| !text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    prop_oneof![
        any::<String>().prop_filter("a line break of YAML 1.1", one_more_break),
        "[ -~\\n]{0,20}",
        Just("null".to_owned()),
        Just("{env.X}".to_owned())
    ]
}

fn some<T: Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(item, 1..4)
}

fn parsed<T: FromStr + Debug>(pattern: &'static str) -> impl Strategy<Value = T> {
    proptest::string::string_regex(pattern).expect("a pattern").prop_filter_map("refused", |text| text.parse().ok())
}
