//! What operators order.

use bascule::core::routing::OverrideDoc;
use bascule::core::steering::SteerDoc;

use super::Deed;
use crate::inventory::SITES;
use crate::planning::declared;
use crate::world::World;

/// An operator decides something about a backend or a site.
pub(super) fn decide(world: &mut World) -> Deed {
    let Some(desired) = declared(&world.planning) else { return Deed::Nothing };
    let names: Vec<_> = desired.backends.keys().map(|name| format!("backend:{name}")).collect();
    let sites = SITES.iter().map(|(name, _)| format!("site:{name}"));
    let targets: Vec<String> = names.into_iter().chain(sites).collect();
    Deed::Override(OverrideDoc {
        target: targets[world.rng.usize(..targets.len())].clone(),
        action: ["drain", "up", "down"][world.rng.usize(..3)].to_owned(),
        term: format!("{}s", world.rng.u32(1..=30)),
        reason: "trial".to_owned(),
        by: "ana".to_owned(),
    })
}

/// An operator lets the traffic of a service return.
pub(super) fn fail_back(world: &mut World) -> Deed {
    let Some(desired) = declared(&world.planning) else { return Deed::Nothing };
    let names: Vec<_> = desired.services.keys().map(ToString::to_string).collect();
    // An emptied inventory is taken where nothing was served before.
    if names.is_empty() {
        return Deed::Nothing;
    }
    Deed::FailBack(names[world.rng.usize(..names.len())].clone())
}

/// An operator steers by hand, or does so no more.
pub(super) fn steer(world: &mut World) -> Deed {
    let by = "ana".to_owned();
    if world.operators.is_steering() {
        return Deed::Steer(SteerDoc::Resume { by });
    }
    let reason = "trial".to_owned();
    let log = &world.branch.log;
    if log.is_empty() || world.rng.bool() {
        return Deed::Steer(SteerDoc::Suspend { reason, by });
    }
    // Of those that were never served, the controller says so.
    let to = log[world.rng.usize(..log.len())].0.to_string();
    Deed::Steer(SteerDoc::Rollback { to, reason, by })
}
