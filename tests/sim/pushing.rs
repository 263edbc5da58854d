//! What configurations must be like, and how many of them there may be.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::inventory::POISON;
use super::world::World;

/// Pushes within one window, at most.
const PUSHES: usize = 3;
/// The shortest window, less what a write may take longer on its way than another.
const WINDOW: Duration = Duration::from_millis(1450);
/// An edge with which nothing was wrong for so long gets pushes for plans alone: it has been looked at, and repaired.
const CALM: Duration = Duration::from_secs(13);
/// What plans have left out for so long is known to whatever is pushed: a plan waits for the quiet time and the rate, a slow
/// disk for 3 s, and a slow load takes 4 s.
const KNOWN: Duration = Duration::from_secs(12);

/// A configuration arrives at an edge.
pub(crate) fn arrived(world: &mut World, name: &'static str, json: &Value) {
    let newest = world.planning.last.as_ref().map(|snapshot| Arc::clone(&snapshot.plan));
    let Some((refused, plan)) = world.edge(name).refused.take() else { return };
    if refused == *json && newest.is_some_and(|newest| Arc::ptr_eq(&newest, &plan)) {
        world.broken("what an edge refuses is not sent again", format!("{name}: nothing was planned in between"));
    }
}

/// An edge has refused a configuration, and its answer has come. The last good one is sent again all the same where an edge
/// has lost it: nothing better can come in its place.
pub(crate) fn refused(world: &mut World, name: &'static str, json: Value) {
    let newest = world.planning.last.as_ref().map(|snapshot| Arc::clone(&snapshot.plan));
    let edge = world.edge(name);
    let is_last_good = edge.past.last() == Some(&json);
    edge.refused = newest.filter(|_| !is_last_good).map(|plan| (json, plan));
}

/// A write of bascule's has arrived, and its load begins or is refused.
pub(crate) fn wrote(world: &mut World, name: &'static str) {
    let is_fresh = world.started_at.elapsed() < CALM;
    let edge = world.edge(name);
    let now = Instant::now();
    edge.written += 1;
    edge.writes.push_back(now);
    while edge.writes.len() > PUSHES + 1 {
        edge.writes.pop_front();
    }
    let first = edge.writes.front().copied().unwrap_or(now);
    let is_calm = edge.troubled_at.elapsed() > CALM && !is_fresh;
    let took = now.duration_since(first);
    if is_calm && edge.writes.len() > PUSHES && took < WINDOW {
        world.broken("pushes keep within their rate", format!("{name}: {} writes in {took:?}", PUSHES + 1));
    }
}

/// An edge runs what bascule has sent.
pub(crate) fn pushed(world: &mut World, name: &'static str) {
    let Some(snapshot) = world.planning.last.clone() else { return };
    let edge = world.edge(name);
    let json = edge.json.clone();
    let is_put_back = edge.has_rejected && edge.past.contains(&json);
    edge.has_rejected &= is_put_back;
    let is_current = !is_put_back;
    edge.past.push(json.clone());
    if edge.past.len() > 5 {
        edge.past.remove(0);
    }
    let services: Vec<(String, Vec<SocketAddr>, BTreeSet<SocketAddr>)> = edge
        .config
        .services
        .keys()
        .map(|service| {
            let tiers = edge.config.proxies.iter().filter(|proxy| proxy.service == *service && proxy.is_tier());
            (service.clone(), edge.config.upstreams(service), tiers.flat_map(|proxy| proxy.upstreams.clone()).collect())
        })
        .collect();
    let words: Vec<String> = services.iter().map(|(service, all, _)| format!("{service} {all:?}")).collect();
    world.note(&format!("{name} runs {}", words.join("; ")));
    if json.to_string().contains(POISON) {
        world.broken("last good wins", format!("{name} was sent what a refused revision declares"));
    }
    let held = world.edge(name).held.clone();
    for (service, all, tiers) in services {
        // What comes of it is not what the plan says.
        if held.contains(&service) {
            continue;
        }
        let Some(effective) = snapshot.plan.effective.services.iter().find(|it| it.0.as_str() == service) else {
            continue;
        };
        if let Some(upstream) = all.iter().find(|it| is_current && !world.planning.is_declared(&service, **it)) {
            let detail = format!("{name}: {service} is sent to {upstream}");
            world.broken("nothing is served that is not declared", detail);
        }
        if is_current && all.len() > 1 && world.planning.is_long_single(&service) {
            world.broken("`single` has one backend", format!("{name}: {service} is rendered with {all:?}"));
        }
        for member in
            effective.1.members.iter().filter(|member| is_current && tiers.contains(&member.backend.upstream()))
        {
            let held = world.planning.left_out_for(&member.backend.name);
            if held > KNOWN {
                let detail = format!("{name}: {} in {service}, down for {held:?}", member.backend.name);
                world.broken("no push brings back what is known to be down", detail);
            }
        }
    }
    let declared = world.planning.declared_lately();
    world.declared.insert(name, declared);
}
