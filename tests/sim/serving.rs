//! What clients must get, at any moment.

use std::net::SocketAddr;

use bascule::core::inventory::{Desired, Policy, WhenAllDown};

use super::edge::{Author, Reach};
use super::planning::declared;
use super::request::{End, Kind};
use super::truth::{Condition, Vantage};
use super::world::World;

/// Backends of a route of which each has a link of its own.
const ALONE: usize = 4;

/// Sends a request of each kind to each service of each edge.
pub(crate) fn look(world: &mut World) {
    for index in 0..world.edges.len() {
        if world.edges[index].reach == Reach::Down || world.edges[index].author == Author::Other {
            continue;
        }
        let services: Vec<String> = world.edges[index].config.services.keys().cloned().collect();
        for service in services {
            for kind in [Kind::Get, Kind::Post] {
                let (end, sent_to) = world.edges[index].request(&service, kind, &world.truth);
                if let Some((invariant, detail)) = judge(world, index, &service, (kind, end, &sent_to)) {
                    world.broken(invariant, detail);
                }
            }
        }
    }
}

fn judge(
    world: &World,
    index: usize,
    service: &str,
    (kind, end, sent_to): (Kind, End, &[SocketAddr]),
) -> Option<(&'static str, String)> {
    let edge = &world.edges[index];
    let name = edge.name;
    if kind == Kind::Post && sent_to.len() > 1 {
        return Some((
            "what may have been acted on is not sent again",
            format!("{name}: a POST to {service} went to {sent_to:?}"),
        ));
    }
    let is_error = match &end {
        End::Served(_) => false,
        End::Page(_) | End::Error(..) | End::Empty | End::Hung(_) => true,
        // What a backend says itself; a POST ends with it.
        End::Refused(_) => kind == Kind::Get,
    };
    if !is_error || kind == Kind::Post && !sent_to.is_empty() {
        return None;
    }
    let all = edge.config.upstreams(service);
    let is_erring = |addr: &SocketAddr| world.truth.of(*addr, Vantage::Edge) == Condition::Erring;
    if all.len() > ALONE && all.iter().any(is_erring) {
        return None;
    }
    let (now, pushed) = (declared(&world.planning), world.declared.get(name));
    let (now, pushed) = now.zip(pushed)?;
    if pushed.iter().chain([&now]).any(|desired| may_fail(desired, service)) {
        return None;
    }
    let living: Vec<_> = all.into_iter().filter(|addr| world.truth.answers(*addr)).collect();
    let detail = format!("{name}: a {kind:?} to {service} ends with {end:?} while {living:?} would answer");
    (!living.is_empty()).then_some(("a request finds a backend that answers", detail))
}

/// True where a service may give an error though a backend would answer.
fn may_fail(desired: &Desired, service: &str) -> bool {
    let Some(service) = desired.services.values().find(|it| it.name.as_str() == service) else { return true };
    service.maintenance
        || service.routing.when_all_down == WhenAllDown::Page
        || matches!(service.routing.policy, Policy::Single { .. })
}
