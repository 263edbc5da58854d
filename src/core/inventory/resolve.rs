mod probe;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use self::probe::probe_of;
use super::desired::{
    Backend, BackendState, Connections, Desired, Edge, Failback, HttpProbe, Origin, Page, Policy, ProbeKind, Relay,
    Routing, Scope, Service, Site, Tier, Timeouts, Tls, Tries, Tunnel, UpstreamProtocol, UpstreamTls, WhenAllDown,
    WireguardPeer,
};
use super::doc::{
    BackendDoc, ConnectionsDoc, EdgeDoc, FailbackDoc, PageDoc, PolicyDoc, RelayDoc, RoutingDoc, ScopeDoc, ServiceDoc,
    SiteDoc, StateDoc, TlsDoc, TlsModeDoc, TunnelDoc, UpstreamDoc, UpstreamProtocolDoc, WhenAllDownDoc, WireguardDoc,
};
use super::documents::Documents;
use super::probe_target::ProbeTarget;
use crate::core::model::{AdminAddress, DialAddress, Hostname, Listener, PathPrefix, Revision, ServiceName, TimeSpan};

/// A few round trips between most sites. A lost SYN is sent again after a second only, so a little more would gain nothing.
const DEFAULT_DIAL: Duration = Duration::from_millis(300);
/// As nginx waits (`proxy_read_timeout`). Without a limit, a request that was sent to a machine just before it vanished
/// hangs for a quarter of an hour, until TCP gives up.
const DEFAULT_RESPONSE: Duration = Duration::from_mins(1);
const DEFAULT_STREAM_CLOSE: Duration = Duration::from_mins(5);
/// Caddy without a limit refuses connections for as long as one event stream is open, or until it is killed: after 5 s by
/// its own systemd unit, after 10 s by Docker. Most answers are through in two.
const DEFAULT_GRACE: Duration = Duration::from_secs(2);
/// A site that comes and goes takes its traffic back and forth no faster.
const DEFAULT_PRIORITY_FAILBACK: Duration = Duration::from_secs(30);
const DEFAULT_CONFIRM: Duration = Duration::from_secs(10);
const DEFAULT_PAGE_STATUS: u16 = 503;
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Makes desired state of documents that no rule has found at fault.
pub(super) fn resolve(documents: Documents, revision: Revision) -> Desired {
    let Documents { sites, services, backends, edges, broken: _ } = documents;
    let named = |site: SiteDoc| (site.name.clone(), Arc::new(site_of(site)));
    let sites = sites.into_iter().map(|site| named(site.doc)).collect();
    let named = |service: ServiceDoc| (service.name.clone(), Arc::new(service_of(service)));
    let services: BTreeMap<ServiceName, Arc<Service>> =
        services.into_iter().map(|service| named(service.doc)).collect();
    let named = |backend: BackendDoc| {
        let service = services.get(&backend.service)?;
        Some((backend.name.clone(), Arc::new(backend_of(backend, service))))
    };
    let backends = backends.into_iter().filter_map(|backend| named(backend.doc)).collect();
    let named = |edge: EdgeDoc| Some((edge.name.clone(), Arc::new(edge_of(edge)?)));
    let edges = edges.into_iter().filter_map(|edge| named(edge.doc)).collect();
    Desired { revision, sites, services, backends, edges }
}

fn site_of(doc: SiteDoc) -> Site {
    let SiteDoc { name, description, subnets, tunnel, maintenance, tags } = doc;
    // `10.200.1.7/24` and `10.200.1.0/24` are one network.
    let subnets = subnets.iter().map(IpNet::trunc).collect();
    let tunnel = tunnel.map(tunnel_of);
    Site { name, description, subnets, tunnel, maintenance, tags: tags.into_iter().collect() }
}

fn tunnel_of(doc: TunnelDoc) -> Tunnel {
    let TunnelDoc { wireguard, gateway } = doc;
    let wireguard = wireguard.map(|WireguardDoc { interface, peer }| WireguardPeer { interface, peer });
    Tunnel { wireguard, gateway }
}

fn service_of(doc: ServiceDoc) -> Service {
    let ServiceDoc {
        name,
        description,
        mut domains,
        mut paths,
        health,
        routing,
        upstream,
        timeouts,
        maintenance,
        critical,
        tags,
    } = doc;
    let host = domains.iter().find(|domain| !domain.is_wildcard()).cloned();
    let connections = connections_of(upstream.as_ref());
    let upstream = upstream_of(upstream, host.as_ref());
    let probe = probe_of(health, host.as_ref(), &upstream);
    domains.sort();
    domains.dedup();
    if paths.is_empty() {
        paths.push(PathPrefix::root());
    }
    paths.sort();
    paths.dedup();
    let timeouts = timeouts.unwrap_or_default();
    let stream_close = timeouts.stream_close.map_or(DEFAULT_STREAM_CLOSE, TimeSpan::get);
    let response = timeouts.response.map_or(DEFAULT_RESPONSE, TimeSpan::get);
    let timeouts = Timeouts {
        dial: timeouts.dial.map_or(DEFAULT_DIAL, TimeSpan::get),
        response,
        response_unsafe: timeouts.response_unsafe.map_or(response, TimeSpan::get),
        stream_close,
        drain: timeouts.drain.map_or(stream_close, TimeSpan::get),
    };
    let routing = routing_of(routing.unwrap_or_default());
    let tags = tags.into_iter().collect();
    Service {
        name,
        description,
        domains,
        paths,
        probe,
        routing,
        maintenance,
        upstream,
        connections,
        timeouts,
        critical,
        tags,
    }
}

fn routing_of(doc: RoutingDoc) -> Routing {
    let RoutingDoc {
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
    } = doc;
    let tiers: Vec<Tier> = sites.into_iter().map(Tier::Site).chain(tags.into_iter().map(Tier::Tag)).collect();
    let (policy, default_failback) = match policy {
        PolicyDoc::Spread => (Policy::Spread, Failback::After(Duration::ZERO)),
        PolicyDoc::Priority => {
            let policy = Policy::Priority { tiers, min_healthy: min_healthy.unwrap_or(1) };
            (policy, Failback::After(DEFAULT_PRIORITY_FAILBACK))
        }
        PolicyDoc::Single => {
            let confirm = confirm.map_or(DEFAULT_CONFIRM, TimeSpan::get);
            (Policy::Single { tiers, confirm }, Failback::Manual)
        }
    };
    let ramp = failback.as_ref().and_then(|failback| failback.ramp).map(TimeSpan::get);
    let failback = match failback {
        Some(FailbackDoc { manual: Some(true), .. }) => Failback::Manual,
        Some(FailbackDoc { after: Some(after), .. }) => Failback::After(after.get()),
        Some(FailbackDoc { after: None, .. }) | None => default_failback,
    };
    let slow_start = slow_start.map(TimeSpan::get);
    let when_all_down = match when_all_down {
        WhenAllDownDoc::ServeAll => WhenAllDown::ServeAll,
        WhenAllDownDoc::Page => WhenAllDown::Page,
    };
    let PageDoc { status, retry_after, html } = page.unwrap_or_default();
    let page = Page {
        status: status.unwrap_or(DEFAULT_PAGE_STATUS),
        retry_after: retry_after.map_or(DEFAULT_RETRY_AFTER, TimeSpan::get),
        html,
    };
    let guard = guard.map(|guard| guard.min_healthy);
    Routing { policy, failback, ramp, slow_start, sticky, guard, when_all_down, page }
}

/// Over TLS a connection costs more than a round trip, and is kept.
fn connections_of(doc: Option<&UpstreamDoc>) -> Connections {
    let Some(UpstreamDoc { protocol, connections, .. }) = doc else { return Connections::Fresh };
    match (connections, protocol) {
        (Some(ConnectionsDoc::Fresh), _) | (None, UpstreamProtocolDoc::Http) => Connections::Fresh,
        (Some(ConnectionsDoc::Reuse), _) | (None, UpstreamProtocolDoc::Https) => Connections::Reuse,
    }
}

fn upstream_of(doc: Option<UpstreamDoc>, host: Option<&Hostname>) -> UpstreamProtocol {
    match doc {
        Some(UpstreamDoc { protocol: UpstreamProtocolDoc::Https, server_name, verify, connections: _ }) => {
            let server_name = server_name.or_else(|| host.cloned());
            UpstreamProtocol::Https(UpstreamTls { server_name, verify: verify.unwrap_or(true) })
        }
        Some(UpstreamDoc { protocol: UpstreamProtocolDoc::Http, .. }) | None => UpstreamProtocol::Http,
    }
}

fn backend_of(doc: BackendDoc, service_decl: &Service) -> Backend {
    let BackendDoc { name, service, site, addr, port, health, weight, tags, state } = doc;
    let mut probe = service_decl.probe.clone();
    let protocol = match service_decl.upstream {
        UpstreamProtocol::Http => "http",
        UpstreamProtocol::Https(_) => "https",
    };
    let own = health.and_then(|text| ProbeTarget { protocol, addr, port: port.get() }.path(&text).ok());
    if let (Tries::One(ProbeKind::Http(HttpProbe { path, .. })), Some(own)) = (&mut probe.tries, own) {
        *path = own;
    }
    let state = match state {
        StateDoc::Active => BackendState::Active,
        StateDoc::Drain => BackendState::Drain,
        StateDoc::Disabled => BackendState::Disabled,
    };
    let tags = tags.into_iter().collect();
    Backend { name, service, site, addr, port, probe, weight, tags, state, origin: Origin::Declared }
}

fn edge_of(doc: EdgeDoc) -> Option<Edge> {
    let EdgeDoc { name, admin, mut listen, tls: TlsDoc { mode, email }, scope, relay, grace } = doc;
    let tls = match mode {
        TlsModeDoc::Acme => Tls::Acme { email: email? },
        TlsModeDoc::Internal => Tls::Internal,
        TlsModeDoc::Edge => Tls::Edge,
        TlsModeDoc::Off => Tls::Off,
    };
    let scope = match scope {
        None | Some(ScopeDoc::Config) => Scope::Config,
        Some(ScopeDoc::Server) => Scope::Server,
    };
    listen.sort();
    let relay = relay_of(relay, &admin, scope);
    // With TLS there is HTTP/3, whose requests Caddy cuts so long after every load, and not only when it ends.
    let default_grace = (tls == Tls::Off && scope == Scope::Config).then_some(DEFAULT_GRACE);
    let grace = grace.map(TimeSpan::get).or(default_grace);
    Some(Edge { name, admin, scope, listen, tls, relay, grace })
}

/// On by default only where the addresses that go without saying are right: the edge's Caddy runs beside bascule. Where it
/// does not, an edge whose relay reached nobody would learn of nothing between two pushes.
fn relay_of(doc: Option<RelayDoc>, admin: &AdminAddress, scope: Scope) -> Option<Relay> {
    let is_wanted = match &doc {
        Some(doc) => doc.enabled.unwrap_or(true),
        None => admin.is_loopback(),
    };
    let RelayDoc { enabled: _, bascule, listen, evidence } = doc.unwrap_or_default();
    is_wanted.then(|| {
        let bascule = bascule.unwrap_or_else(DialAddress::bascule_relay);
        // A socket file whose reader is slow or gone makes Caddy wait, or write to its own error output.
        // What is logged where is one for all servers of a Caddy.
        let is_possible = scope == Scope::Config && matches!(bascule, DialAddress::Tcp { .. });
        let evidence = is_possible && evidence.unwrap_or(true);
        Relay { bascule, listen: listen.unwrap_or_else(Listener::relay), evidence }
    })
}
