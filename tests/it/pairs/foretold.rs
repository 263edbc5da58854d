//! What is foretold of an edit and of a loss, against what the engine does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bascule::core::caddy::{Pool, render, traffic};
use bascule::core::health::{Failure, Verdict};
use bascule::core::inventory::{Backend, Desired};
use bascule::core::review::{review, review_live};
use bascule::core::routing::{EffectiveService, Inputs, Plan, Serving, Target, plan};
use bascule::core::simulate::{Outcome, Share, simulate, single_losses};
use serde_json::Value;

use super::engine::Engine;
use super::{PAIRS, drawn_live, for_pairs};

/// Shares by backend, in hundredths of a percent.
pub(super) fn shares(shares: &[Share]) -> BTreeMap<String, i64> {
    shares.iter().map(|share| (share.backend.to_string(), points(share.share))).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a share is from 0 to 1")]
fn points(share: f64) -> i64 {
    (share * 10_000.0).round() as i64
}

/// Shares as Caddy's configuration has them: how often each address is in the list of the first link of a service. None where
/// there is none.
pub(super) fn rendered_shares(config: &Value, service: &str) -> Option<BTreeMap<String, f64>> {
    let servers = config.pointer("/apps/http/servers")?.as_object()?;
    let mut routes = servers.values().filter_map(|server| server["routes"].as_array()).flatten();
    let route = routes.find(|route| route["@id"] == format!("service-{service}"))?;
    let upstreams: Vec<&str> = first_proxy(route)?.iter().filter_map(|upstream| upstream["dial"].as_str()).collect();
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for dial in &upstreams {
        *shares.entry((*dial).to_owned()).or_default() += 1.0;
    }
    let all: f64 = shares.values().sum();
    for share in shares.values_mut() {
        *share /= all;
    }
    Some(shares)
}

/// The upstreams of the first proxy that a request comes to.
fn first_proxy(value: &Value) -> Option<&Vec<Value>> {
    if value["handler"] == "reverse_proxy" {
        return value["upstreams"].as_array();
    }
    // What comes in case of an error is not the first.
    ["handle", "routes"].iter().filter_map(|key| value[*key].as_array()).flatten().find_map(first_proxy)
}

#[test]
fn shares_that_are_foretold_are_those_of_the_engine() {
    for_pairs(PAIRS, |mut pair| {
        let [before, after] = &pair.desired;
        let live = drawn_live(before, &mut pair.rng);
        let reviewed = review_live(before, after, &live);
        let known = live.observed.follow(before, after);
        let old = plan(&live.inputs(before));
        let new = plan(&Inputs { observed: &known, previous: Some(&old.effective), ..live.inputs(after) });
        for service in &reviewed.services {
            for (told, desired, planned, observed) in
                [(&service.before, before, &old, &live.observed), (&service.after, after, &new, &known)]
            {
                let answers = |backend: &Backend| {
                    let overridden = live.overrides.of(backend, live.now);
                    let is_forced = overridden.is_some_and(|it| it.action.as_str() == "up");
                    is_forced || observed.verdict(&backend.name) != Verdict::Down
                };
                served_alike(told, desired, planned, service.service.as_str(), answers);
            }
        }
        // Without a controller all is up.
        for service in &review(before, after).services {
            let planned = plan(&Inputs::declared(after));
            served_alike(&service.after, after, &planned, service.service.as_str(), |_| true);
        }
    });
}

/// The shares that were told are those of what is rendered, among those that answer.
fn served_alike(told: &[Share], desired: &Desired, planned: &Plan, name: &str, answers: impl Fn(&Backend) -> bool) {
    let Some(service) = planned.effective.services.values().find(|it| it.service.name.as_str() == name) else {
        assert!(told.is_empty(), "{name} is not served");
        return;
    };
    // Where a relay asks, what waits for its turn is listed too.
    let edge = desired.edges.values().find(|edge| edge.relay.is_none()).expect("the first has no relay");
    let config = render(&planned.effective, edge, &Pool::strict()).config();
    let is_page = matches!(service.serving, Serving::Page | Serving::Nothing | Serving::Maintenance);
    let rendered = rendered_shares(&config, name).filter(|_| !is_page).unwrap_or_default();
    let by_address: BTreeMap<String, &Backend> =
        desired.backends.values().map(|backend| (backend.upstream().to_string(), &**backend)).collect();
    let alive: Vec<(String, f64)> = rendered
        .iter()
        .filter(|(dial, _)| answers(by_address[*dial]))
        .map(|(dial, share)| (by_address[dial].name.to_string(), *share))
        .collect();
    let all: f64 = alive.iter().map(|(_, share)| share).sum();
    let seen: BTreeMap<String, i64> = alive.into_iter().map(|(name, share)| (name, points(share / all))).collect();
    assert_eq!(shares(told), seen, "{name}: {config:#}");
}

#[test]
fn losses_that_are_foretold_are_what_failing_probes_come_to() {
    for_pairs(PAIRS, |mut pair| {
        let desired = &pair.desired[1];
        let mut losses = single_losses(desired);
        pair.rng.shuffle(&mut losses);
        losses.truncate(3);
        // Two at once.
        if let [one, other, ..] = &losses[..] {
            losses.push([one.clone(), other.clone()].concat());
        }
        let failure = if pair.rng.bool() { Failure::Timeout } else { Failure::Status(503) };
        for (lost, forecast) in losses.iter().zip(simulate(desired, &losses)) {
            let mut engine = Engine::new(desired);
            engine.probe(10, |_| None);
            engine.now = engine.now.plus(std::time::Duration::from_hours(24));
            engine.probe(10, |_| None);
            engine.settle();
            engine.probe(15, |backend| is_lost(backend, lost).then(|| failure.clone()));
            let plan = engine.settle();
            for told in &forecast.services {
                let service = &plan.effective.services[&told.service];
                let seen = live_shares(service, lost);
                let mut context = format!("{} without {}", told.service, forecast.lost_words());
                let _ = write!(context, ", {:?}: {:?}", service.serving, service.service.routing);
                for member in &service.members {
                    let (backend, verdict) = (&member.backend, member.verdict);
                    let _ = write!(context, "\n{} at {}, {verdict}: {:?}", backend.name, backend.site, member.role);
                }
                assert_eq!(shares(&told.shares), seen, "{context}");
                let outcome = match service.serving {
                    Serving::Maintenance => Outcome::Maintenance,
                    _ if seen.is_empty() => Outcome::Down,
                    Serving::Full => Outcome::Survives,
                    _ => Outcome::Degraded,
                };
                assert_eq!(told.outcome, outcome, "{context}");
            }
        }
    });
}

fn is_lost(backend: &Backend, lost: &[Target]) -> bool {
    lost.iter().any(|target| match target {
        Target::Backend(name) => backend.name == *name,
        Target::Site(site) => backend.site == *site,
    })
}

fn live_shares(service: &EffectiveService, lost: &[Target]) -> BTreeMap<String, i64> {
    let places: Vec<_> = traffic(service).into_iter().filter(|(backend, _)| !is_lost(backend, lost)).collect();
    let all: u64 = places.iter().map(|(_, places)| places).sum();
    #[expect(clippy::cast_precision_loss, reason = "a list has a few hundred places")]
    let share = |places: u64| points(places as f64 / all as f64);
    places
        .into_iter()
        .filter(|(_, places)| *places > 0)
        .map(|(it, places)| (it.name.to_string(), share(places)))
        .collect()
}
