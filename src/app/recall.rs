//! What the state file knows of the time before this run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::{Wires, now};
use crate::controller::{SourceState, chain, recall, recall_steering};
use crate::core::health::BackendHealth;
use crate::core::model::{BackendName, ServiceName};
use crate::core::routing::{Choice, Overrides};
use crate::store::Store;

/// What the state file knows, in time for the first plan. Gives what only one loop needs.
pub(super) async fn recall_all(
    store: &Store,
    wires: &Wires,
) -> (BTreeMap<BackendName, BackendHealth>, BTreeMap<ServiceName, Choice>) {
    let (served, steering) = (recall(store).await, recall_steering(store).await);
    wires.source.send_replace(SourceState { served, steering, ..SourceState::default() });
    recall_overrides(store, wires).await;
    (recall_health(store).await, recall_choices(store).await)
}

/// What operators decided before this run, in time for the first plan.
async fn recall_overrides(store: &Store, wires: &Wires) {
    match store.overrides().await {
        Ok(overrides) => {
            let overrides: Overrides = overrides.into_iter().collect();
            let now = now();
            for it in overrides.iter().filter(|it| it.until > now) {
                info!(target = %it.target, decision = it.decision(now), "override still holds");
            }
            wires.overrides.send_replace(Arc::new(overrides));
        }
        Err(error) => {
            error!(error = %chain(&error), "overrides are not readable in the state file: none holds; set them again");
        }
    }
}

/// What was known of backends before this run.
async fn recall_health(store: &Store) -> BTreeMap<BackendName, BackendHealth> {
    store.health().await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "verdicts are not readable in the state file; probing starts anew");
        BTreeMap::new()
    })
}

/// What services had chosen before this run.
async fn recall_choices(store: &Store) -> BTreeMap<ServiceName, Choice> {
    store.choices().await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "what was chosen is not readable in the state file; services start at what they prefer");
        BTreeMap::new()
    })
}
