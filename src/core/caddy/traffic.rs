use std::sync::Arc;

use super::pool::{Pool, Shares, Waiting};
use crate::core::inventory::{Backend, Policy};
use crate::core::routing::{EffectiveService, Serving};

/// How an edge divides a service's requests: backends with the places that each has in the list that Caddy takes turns in.
/// None where clients get a page or an error instead. What fails in its turn is tried elsewhere, and this does not count it.
pub fn traffic(effective: &EffectiveService) -> Vec<(&Arc<Backend>, u64)> {
    let pool = Pool::strict();
    let shares = match (effective.serving, &effective.service.routing.policy) {
        (Serving::Maintenance | Serving::Page | Serving::Nothing, _) => None,
        (Serving::LastResort, _) | (_, Policy::Single { .. }) => {
            Some(Shares::declared(&effective.service, &pool.everything(effective)))
        }
        (Serving::Full | Serving::Degraded, _) => pool.tiers(effective, Waiting::LeftOut).into_iter().next(),
    };
    shares.map_or_else(Vec::new, |shares| shares.places())
}
