//! Documents as people write them: one file a kind. Doc comments here are the user manual; they become the schemas'
//! descriptions and `docs/inventory.md`.

mod backend;
mod edge;
mod health;
mod routing;
mod service;
mod site;

use std::borrow::Cow;

pub use self::backend::{BackendDoc, StateDoc};
pub use self::edge::{EdgeDoc, RelayDoc, ScopeDoc, TlsDoc, TlsModeDoc};
pub use self::health::{BodyDoc, ExpectDoc, HealthDoc, HealthTypeDoc, MethodDoc, ProbeTlsDoc, StatusRange, TryDoc};
pub use self::routing::{FailbackDoc, GuardDoc, Minimum, PageDoc, PolicyDoc, RoutingDoc, Sticky, WhenAllDownDoc};
pub use self::service::{ConnectionsDoc, ServiceDoc, TimeoutsDoc, UpstreamDoc, UpstreamProtocolDoc};
pub use self::site::{SiteDoc, TunnelDoc, WireguardDoc};

/// A value as it was written: for what YAML reads as a number in one spelling and as text in another.
fn written(value: &serde_json::Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed)
}
