//! What is foretold of a loss, against what the engine does when it happens.

use std::collections::BTreeMap;

use bascule::core::caddy::traffic;
use bascule::core::routing::{Serving, Target};
use bascule::core::simulate::{Forecast, Outcome, Share, markdown, simulate, single_losses, text};

use super::history::History;
use crate::support::inventory::{PLAIN_EDGE, Texts, desired};

const ROUTINGS: [&str; 9] = [
    "{}",
    "{failback: {after: 30s}, slow_start: 30s}",
    "{guard: {min_healthy: 2}}",
    "{guard: {min_healthy: 50%}, when_all_down: page}",
    "{policy: priority, sites: [dijon, thory]}",
    "{policy: priority, sites: [dijon, thory], min_healthy: 2, failback: {after: 20s, ramp: 30s}}",
    "{policy: priority, sites: [thory, dijon], when_all_down: page}",
    "{policy: single, sites: [dijon, thory], confirm: 10s}",
    "{policy: single, confirm: 5s, failback: {after: 20s}}",
];
const NAMES: [&str; 4] = ["d1", "d2", "t1", "t2"];

/// Backends with their shares in percent.
fn percent(shares: &[Share]) -> BTreeMap<String, i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a share is from 0 to 1")]
    shares.iter().map(|share| (share.backend.to_string(), (share.share * 100.0).round() as i64)).collect()
}

#[test]
fn what_is_foretold_is_what_the_engine_comes_to() {
    for routing in ROUTINGS {
        for mask in 0..16_usize {
            let letters: String = (0..4).map(|index| if mask >> index & 1 == 1 { 'd' } else { 'u' }).collect();
            let mut history = History::of(routing);
            history.plan(-3600, "uuuu");
            // A plan a second for five minutes, as if something changed all the time.
            let plan = (0..300).map(|second| history.plan(second, &letters)).last().expect("plans");
            let service = plan.effective.services.values().next().expect("a service");
            let lost: Vec<Target> = NAMES
                .iter()
                .zip(letters.chars())
                .filter(|(_, letter)| *letter == 'd')
                .map(|(name, _)| Target::Backend(name.parse().expect("a name")))
                .collect();
            let [Forecast { services, .. }] = &simulate(&history.desired, &[lost])[..] else { panic!("one loss") };
            let is_up = |name: &str| NAMES.iter().zip(letters.chars()).any(|(it, letter)| *it == name && letter == 'u');
            let live: Vec<String> = traffic(service)
                .into_iter()
                .map(|(backend, _)| backend.name.to_string())
                .filter(|it| is_up(it))
                .collect();
            let mut told: Vec<String> = services[0].shares.iter().map(|share| share.backend.to_string()).collect();
            told.sort();
            let mut expected = live.clone();
            expected.sort();
            assert_eq!(told, expected, "{routing} with {letters}");
            let outcome = match service.serving {
                _ if live.is_empty() => Outcome::Down,
                Serving::Full => Outcome::Survives,
                _ => Outcome::Degraded,
            };
            assert_eq!(services[0].outcome, outcome, "{routing} with {letters}");
        }
    }
}

#[test]
fn shares_follow_weights_tiers_and_policies() {
    let of = |routing: &str, lost: &str| {
        let history = History::of(routing);
        let target = Target::named(lost, &history.desired).expect("a target");
        let forecast = simulate(&history.desired, &[vec![target]]).remove(0);
        (forecast.services[0].outcome, percent(&forecast.services[0].shares))
    };
    let map = |shares: &[(&str, i64)]| shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
    for (routing, lost, expected) in [
        ("{}", "site:dijon", (Outcome::Degraded, map(&[("t1", 50), ("t2", 50)]))),
        ("{}", "d1", (Outcome::Degraded, map(&[("d2", 33), ("t1", 33), ("t2", 33)]))),
        ("{policy: priority, sites: [dijon, thory]}", "d1", (Outcome::Degraded, map(&[("d2", 100)]))),
        (
            "{policy: priority, sites: [dijon, thory]}",
            "site:dijon",
            (Outcome::Degraded, map(&[("t1", 50), ("t2", 50)])),
        ),
        ("{policy: single, sites: [dijon, thory]}", "d1", (Outcome::Degraded, map(&[("d2", 100)]))),
        // Three are to stay in, so the loss of both leaves one dead one there: its requests are tried elsewhere.
        ("{guard: {min_healthy: 3}}", "site:dijon", (Outcome::Degraded, map(&[("t1", 50), ("t2", 50)]))),
    ] {
        assert_eq!(of(routing, lost), expected, "{routing} without {lost}");
    }
}

const SERVICES: &str = "{name: api, domains: [api.acecinema.fr], critical: true}\n---\n\
                        {name: old, domains: [old.acecinema.fr], maintenance: true}\n---\n\
                        {name: www, domains: [www.acecinema.fr], critical: true}\n";
const BACKENDS: &str = "{service: api, name: api-dijon-1, site: dijon, addr: 127.1.0.1, port: 80, weight: 2}\n---\n\
                        {service: api, name: api-thory-1, site: thory, addr: 127.2.0.1, port: 80}\n---\n\
                        {service: old, name: old-dijon-1, site: dijon, addr: 127.1.0.2, port: 80}\n---\n\
                        {service: old, name: old-thory-1, site: thory, addr: 127.2.0.2, port: 80}\n---\n\
                        {service: www, name: www-dijon-1, site: dijon, addr: 127.1.0.3, port: 80}\n";

#[test]
fn every_single_loss_is_told_in_short() {
    let desired = desired(Texts { edges: PLAIN_EDGE, services: SERVICES, backends: BACKENDS });
    let forecasts = simulate(&desired, &single_losses(&desired));
    insta::assert_snapshot!("forecast_text", text(&forecasts));
    insta::assert_snapshot!("forecast_markdown", markdown(&forecasts));
    let one = simulate(&desired, &[vec![Target::Backend("api-dijon-1".parse().expect("a name"))]]);
    insta::assert_snapshot!("forecast_of_one", text(&one));
    insta::assert_snapshot!("forecast_json", bascule::core::simulate::json(&one));
}
