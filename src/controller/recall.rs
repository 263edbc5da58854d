use std::sync::Arc;

use tracing::{error, info, warn};

use super::{Served, chain};
use crate::core::inventory::load;
use crate::core::steering::Steering;
use crate::store::Store;

/// What can be served before the first fetch: the last good revision of the state file.
pub async fn recall(store: &Store) -> Option<Served> {
    let (info, files) = match store.last_good_revision().await {
        Ok(revision) => revision?,
        Err(error) => {
            warn!(error = %chain(&error), "the last good revision is not readable in the state file; waiting for the source");
            return None;
        }
    };
    // A newer bascule may refuse what an older one took; then the source decides.
    let Some(desired) = load(&files, info.id.clone()).desired else {
        warn!(revision = %info.id, "this bascule refuses the last good revision; waiting for the source");
        return None;
    };
    let quarantine = store.last_quarantine().await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "who is in quarantine is not readable in the state file");
        Vec::new()
    });
    info!(revision = %info.id.short(), quarantined = quarantine.len(), "serving the last good revision until the source is read");
    Some(Served { info, desired: Arc::new(desired), quarantine: quarantine.into() })
}

/// How operators steered before this run.
pub async fn recall_steering(store: &Store) -> Steering {
    match store.steps().await {
        Ok(steps) => {
            let steering: Steering = steps.iter().collect();
            if let Some(pin) = &steering.pin {
                info!(revision = %pin.revision.short(), "{}: the source is not followed", pin.words());
            }
            steering
        }
        Err(error) => {
            error!(error = %chain(&error), "steps are not readable in the state file: the source is followed");
            Steering::default()
        }
    }
}
