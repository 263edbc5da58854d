//! What must be the case once faults have stopped for long enough.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bascule::core::caddy::{Pool, compare, render};
use bascule::core::health::Verdict;
use bascule::core::inventory::{BackendState, Policy, load};
use bascule::core::routing::Role;
use bascule::core::status::EdgeState;

use super::controller::Controller;
use super::request::{End, Kind};
use super::world::World;

/// What is still not as it should be.
pub(crate) fn unsettled(world: &mut World, controller: &Controller) -> Option<String> {
    let source = controller.source.borrow().clone();
    let plan = controller.plans.borrow().clone();
    let reports = controller.reports.borrow().clone();
    let (Some(served), Some(snapshot)) = (source.served, plan) else { return Some("nothing is served".to_owned()) };
    if let Some(fault) = source.fault {
        return Some(format!("a fault of the source stays: {}", fault.message));
    }
    let is_good = source.refusal.is_none();
    if is_good && served.info.id != world.branch.info.id {
        return Some(format!("{} is served and not {}", served.info.id, world.branch.info.id));
    }
    if !is_good && load(&world.branch.files, world.branch.info.id.clone()).desired.is_some() {
        return Some("a good revision is refused".to_owned());
    }
    if let Some(at) = snapshot.plan.next_at {
        return Some(format!("the plan waits for {at}"));
    }
    if snapshot.plan.revision != served.info.id {
        return Some("the plan is of another revision".to_owned());
    }
    let observed = controller.observed.borrow().clone();
    let probed = served.desired.backends.values().filter(|it| it.state != BackendState::Disabled);
    for backend in probed {
        if observed.verdict(&backend.name) != Verdict::Up {
            return Some(format!("{} is {}", backend.name, observed.verdict(&backend.name)));
        }
    }
    for service in snapshot.plan.effective.services.values() {
        let is_waiting = |role: Role| matches!(role, Role::Out(why) if !why.is_declared()) || role == Role::LastResort;
        let is_by_hand = matches!(service.service.routing.failback, bascule::core::inventory::Failback::Manual);
        if let Some(member) = service.members.iter().find(|it| is_waiting(it.role) && !is_by_hand) {
            return Some(format!("{} is {:?}", member.backend.name, member.role));
        }
    }
    for edge in served.desired.edges.values() {
        let Some(report) = reports.get(&edge.name) else { return Some(format!("no report of {}", edge.name)) };
        if report.state != EdgeState::InSync || report.fault.is_some() {
            return Some(format!("{} is {:?}: {:?}", edge.name, report.state, report.fault));
        }
        let wanted = render(
            &snapshot.plan.effective,
            edge,
            &if edge.relay.is_some() { Pool::strict() } else { Pool::unasked() },
        )
        .config();
        let runs = &world.edge(edge.name.as_str()).json;
        if !compare::same(runs, &wanted) {
            return Some(format!("{} does not run what is planned", edge.name));
        }
        for service in snapshot.plan.effective.services.values() {
            let serving: BTreeSet<SocketAddr> = service.in_rotation().map(|it| it.upstream()).collect();
            let name = edge.name.to_string();
            let truth = std::mem::take(&mut world.truth);
            let (end, _) = world.edge(&name).request(service.service.name.as_str(), Kind::Get, &truth);
            world.truth = truth;
            let is_single = matches!(service.service.routing.policy, Policy::Single { .. });
            match end {
                End::Served(by) if serving.contains(&by) => {}
                End::Page(_) if serving.is_empty() => {}
                end => {
                    return Some(format!(
                        "{name}: {} (single: {is_single}) ends with {end:?}, {serving:?} serve",
                        service.service.name
                    ));
                }
            }
        }
    }
    None
}
