//! Shares of traffic that backends ask for by their reports.

use bascule::core::health::{Report, Verdict};
use bascule::core::model::Timestamp;

use super::rise::places_of;
use crate::support::inventory::{PLAIN_EDGE, Texts, desired, observed, plan};

/// Places of `a`, `b` and `c` in the first link, where `a` has so much weight and they ask for these shares in percent.
fn places_of_shares(listens: bool, weight: u16, shares: [u8; 3]) -> ([usize; 3], Vec<String>) {
    let services = format!("name: www\ndomains: [www.acecinema.fr]\nhealth: {{path: /health, report: {listens}}}\n");
    let backends = format!(
        "{{service: www, name: a, site: dijon, addr: 127.1.0.1, port: 80, weight: {weight}}}\n---\n\
         {{service: www, name: b, site: dijon, addr: 127.1.0.2, port: 80}}\n---\n\
         {{service: www, name: c, site: thory, addr: 127.2.0.1, port: 80}}\n"
    );
    let desired = desired(Texts { edges: PLAIN_EDGE, services: &services, backends: &backends });
    let mut observed = observed(&desired, |_| Verdict::Up);
    let before = plan(&desired, &observed, None).effective;
    for (health, percent) in observed.backends.values_mut().zip(shares) {
        health.share.take(Some(Report { drains: false, percent: Some(percent) }), Timestamp::from_unix_millis(0));
    }
    let plan = plan(&desired, &observed, Some(&before));
    let edge = desired.edges.values().next().expect("an edge");
    let places = places_of(&plan.effective, edge, ["127.1.0.1:80", "127.1.0.2:80", "127.2.0.1:80"]);
    let reasons = plan.effective.services.values().flat_map(|service| &service.members);
    let reasons = reasons.filter_map(|member| member.reason(Timestamp::from_unix_millis(0)));
    (places, plan.changes.iter().map(ToString::to_string).chain(reasons).collect())
}

#[test]
fn a_backend_has_so_much_of_its_share_as_it_asks_for() {
    let told = ["service www: a asks for 50 % of its share", "at 50 % of its share, by its own report"];
    assert_eq!(places_of_shares(true, 1, [50, 100, 90]), ([1, 2, 2], told.map(str::to_owned).to_vec()));
    assert_eq!(places_of_shares(true, 1, [1, 100, 100]).0, [1, 4, 4], "never nothing");
    assert_eq!(places_of_shares(true, 3, [75, 50, 25]).0, [9, 2, 1]);
    assert_eq!(places_of_shares(true, 1, [25; 3]).0, [1, 1, 1]);
    assert_eq!(places_of_shares(false, 1, [50, 100, 100]), ([1, 1, 1], vec![]));
}
