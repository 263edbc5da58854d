//! From YAML files to desired state: parse → schema → check → resolve.

pub mod codes;
mod desired;
pub mod doc;
mod document;
mod load;
pub mod report;
mod resolve;
mod rules;
pub mod schema;
pub mod starter;
pub mod yaml;

pub use self::desired::{
    Backend, BackendState, Desired, Edge, Origin, Probe, ProbeKind, Routing, Service, Site, Timeouts, Tls,
    UpstreamProtocol, UpstreamTls,
};
pub use self::doc::StatusRange;
pub use self::load::{Loaded, load};
pub use crate::core::status::Paint;
