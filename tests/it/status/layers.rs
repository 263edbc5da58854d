//! Tunnels, stale observations and events.

use std::sync::Arc;

use bascule::core::health::{Event, Failure, Layers, Observed, Outcome, PeerReading, Subject, TunnelHealth, Verdict};
use bascule::core::inventory::{Tunnel, WireguardPeer};
use bascule::core::status::{SiteState, TunnelState};

use super::*;

/// A status of dijon with two backends, both with a verdict and a last sample so many seconds ago.
fn status(verdict: Verdict, outcome: &Outcome, seconds: i64, layers: &Layers) -> StatusDto {
    let mut desired = desired(TEXTS);
    for name in ["idle-dijon-1", "docs-dijon-1"] {
        set_state(&mut desired, name, BackendState::Disabled);
    }
    let site = desired.sites.values_mut().find(|site| site.name.as_str() == "dijon").expect("it is declared");
    Arc::make_mut(site).tunnel = Some(Tunnel {
        wireguard: Some(WireguardPeer {
            interface: "wg0".parse().expect("a name"),
            peer: "NLyjzYH8lnSiI3t1bVuqSPjLFMrTaxJYjE4gaASSgjs=".parse().expect("a key"),
        }),
        gateway: Some("127.1.0.1".parse().expect("an address")),
    });
    let mut health = health(verdict, 90, outcome.clone());
    health.last.as_mut().expect("it was asked").at = ago(seconds);
    let backends = ["api-dijon-1", "www-dijon-1"].map(|name| (name.parse().expect("a name"), health.clone()));
    let observed =
        Observed { generation: Generation(1), revision: None, isolated_since: None, backends: backends.into() };
    let plan = plan(&desired, &observed, None);
    let info =
        RevisionInfo { id: Revision::new("1"), author: String::new(), subject: String::new(), committed_at: NOW };
    view(&Inputs {
        served: Some((&info, &desired)),
        observed: &observed,
        layers,
        plan: Some(&plan),
        ..nothing_known(NOW)
    })
}

fn tunnel(state: Verdict, proved: i64, seen: i64) -> Layers {
    let peer = PeerReading { last_handshake: Some(ago(proved)), received: 10, sent: 20 };
    let health = TunnelHealth {
        state,
        since: Some(ago(80)),
        cause: "gateway 127.1.0.1 does not answer: timed out".to_owned(),
        seen_at: Some(ago(seen)),
        proved_at: Some(ago(proved)),
        peer: Some(peer),
        unreadable: None,
    };
    let event = |seconds, subject, cause: &str, backends| Event {
        at: ago(seconds),
        subject,
        from: Verdict::Up,
        to: Verdict::Down,
        cause: cause.to_owned(),
        backends,
    };
    let dijon = || "dijon".parse().expect("a name");
    let events = vec![
        event(80, Subject::Tunnel(dijon()), "gateway 127.1.0.1 does not answer: timed out", 0),
        event(90, Subject::Site(dijon()), "out of reach", 2),
    ];
    Layers { tunnels: BTreeMap::from([(dijon(), health)]), events }
}

fn timed_out() -> Outcome {
    Outcome::Fail(Failure::Timeout)
}

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no `{start}` in\n{text}"))
}

#[test]
fn a_site_that_is_down_says_where_the_way_ends() {
    let lost = status(Verdict::Down, &timed_out(), 2, &tunnel(Verdict::Down, 95, 1));
    let site = &lost.sites[0];
    let cause = "tunnel down (gateway 127.1.0.1 does not answer: timed out)";
    assert_eq!((site.state, site.cause.as_deref()), (SiteState::Down, Some(cause)));
    let shown = text(&lost, Paint::Plain);
    assert_eq!(
        line(&shown, "site dijon"),
        format!("site dijon  down for 90s, seen 2s ago  0 of 4 up, 2 down  ({cause})")
    );
    let expected = "  tunnel  down for 80s, seen 1s ago  wg0  gateway 127.1.0.1 does not answer: timed out";
    assert_eq!(line(&shown, "  tunnel"), expected);
    assert_eq!(line(&shown, "fault site dijon"), format!("fault site dijon: down with 2 backends: {cause} (for 90s)"));
    assert!(!shown.contains("fault tunnel"), "one fault for one cause\n{shown}");
    let lately = [
        "lately",
        "   80s ago  tunnel:dijon down: gateway 127.1.0.1 does not answer: timed out",
        "   90s ago  site:dijon down with 2 backends: out of reach",
        "",
    ];
    assert!(shown.ends_with(&lately.join("\n")), "{shown}");
    // What came through after the site went down tells that it is not the tunnel.
    let machines = status(Verdict::Down, &timed_out(), 2, &tunnel(Verdict::Up, 5, 1));
    assert_eq!(machines.sites[0].cause.as_deref(), Some("site's machines down (its tunnel is up)"));
}

#[test]
fn a_tunnel_that_is_down_beside_a_site_that_is_not_is_told_by_itself() {
    let status = status(Verdict::Up, &Outcome::Pass, 2, &tunnel(Verdict::Down, 95, 1));
    let scopes: Vec<_> = status.faults.iter().map(|fault| fault.scope.as_str()).collect();
    assert!(scopes.contains(&"tunnel dijon") && !scopes.contains(&"site dijon"), "{scopes:?}");
}

#[test]
fn stale_is_a_state_of_its_own_and_routing_goes_by_the_last_verdict() {
    // Three intervals of 5 s and a timeout of 2 s.
    for (seconds, expected) in [(17, "down"), (18, "stale")] {
        let status = status(Verdict::Down, &timed_out(), seconds, &tunnel(Verdict::Up, 5, 20));
        let www = status.services.iter().find(|service| service.name == "www").expect("it is declared");
        let backend = www.backends.iter().find(|backend| backend.name == "www-dijon-1").expect("it is declared");
        assert_eq!((backend.state.as_str(), backend.verdict.as_str()), (expected, "down"), "{seconds}");
        assert_eq!(backend.age_seconds, Some(seconds.unsigned_abs()));
        assert!(!backend.in_rotation, "the last verdict stays");
        let site = if expected == "stale" { SiteState::Stale } else { SiteState::Down };
        assert_eq!(status.sites[0].state, site);
    }
    let status = status(Verdict::Down, &timed_out(), 18, &tunnel(Verdict::Up, 5, 21));
    let shown = text(&status, Paint::Plain);
    assert!(shown.contains("out stale   www-dijon-1"), "{shown}");
    assert!(shown.contains("last seen 18s ago, verdict down"), "{shown}");
    assert!(line(&shown, "site dijon").contains("stale for 90s, seen 18s ago  0 of 4 up, 2 down, 2 stale"), "{shown}");
    let tunnel = status.sites[0].tunnel.as_ref().expect("it is declared");
    assert_eq!((tunnel.state, tunnel.age_seconds), (TunnelState::Stale, Some(21)));
}

#[test]
fn a_tunnel_that_was_never_seen_is_unknown() {
    let status = status(Verdict::Down, &timed_out(), 2, &Layers::default());
    let tunnel = status.sites[0].tunnel.as_ref().expect("it is declared");
    assert_eq!((tunnel.state, tunnel.age_seconds), (TunnelState::Unknown, None));
    assert_eq!(tunnel.wireguard.as_ref().map(|it| it.interface.as_str()), Some("wg0"));
}
