//! What a status is made of.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bascule::core::health::{Layers, Observed, SecretFaults};
use bascule::core::model::{EdgeName, Timestamp};
use bascule::core::routing::Overrides;
use bascule::core::status::{EdgeReport, Inputs};

static OBSERVED: LazyLock<Observed> = LazyLock::new(Observed::default);
static SECRETS: SecretFaults = SecretFaults::new();
static LAYERS: LazyLock<Layers> = LazyLock::new(Layers::default);
static OVERRIDES: LazyLock<Overrides> = LazyLock::new(Overrides::new);
static EDGES: BTreeMap<EdgeName, EdgeReport> = BTreeMap::new();

/// Of a controller that knows nothing yet.
pub fn nothing_known(now: Timestamp) -> Inputs<'static> {
    Inputs {
        now,
        served: None,
        quarantine: &[],
        is_strict: false,
        fetched_at: None,
        source_faults: [None, None],
        newest: None,
        pin: None,
        observed: &OBSERVED,
        secrets: &SECRETS,
        layers: &LAYERS,
        overrides: &OVERRIDES,
        plan: None,
        edges: &EDGES,
    }
}
