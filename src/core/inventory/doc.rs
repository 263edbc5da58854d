//! Documents as people write them: one file a kind. Doc comments here are the user manual; they become the schemas'
//! descriptions and `docs/inventory.md`.

mod backend;
mod edge;
mod health;
mod routing;
mod service;
mod site;

pub use self::backend::{BackendDoc, StateDoc};
pub use self::edge::{EdgeDoc, RelayDoc, TlsDoc, TlsModeDoc};
pub use self::health::{BodyDoc, ExpectDoc, HealthDoc, HealthTypeDoc, MethodDoc, ProbeTlsDoc, StatusRange, TryDoc};
pub use self::routing::{FailbackDoc, GuardDoc, Minimum, PageDoc, PolicyDoc, RoutingDoc, Sticky, WhenAllDownDoc};
pub use self::service::{ConnectionsDoc, ServiceDoc, TimeoutsDoc, UpstreamDoc, UpstreamProtocolDoc};
pub use self::site::{SiteDoc, TunnelDoc, WireguardDoc};
