//! Documents as people write them: one file a kind. Doc comments here are the user manual; they become the schemas'
//! descriptions and `docs/inventory.md`.

mod backend;
mod edge;
mod service;
mod site;

pub use self::backend::{BackendDoc, StateDoc};
pub use self::edge::{EdgeDoc, TlsDoc, TlsModeDoc};
pub use self::service::{
    ExpectDoc, FailbackDoc, HealthDoc, HealthTypeDoc, PolicyDoc, RoutingDoc, ServiceDoc, StatusRange, StickyDoc,
    TimeoutsDoc, UpstreamDoc, UpstreamProtocolDoc, WhenAllDownDoc,
};
pub use self::site::SiteDoc;
