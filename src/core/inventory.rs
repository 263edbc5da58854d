//! From YAML files to desired state: parse → schema → check → resolve.

mod desired;
pub mod doc;

pub use self::desired::{
    Backend, BackendState, Desired, Edge, Origin, Probe, ProbeKind, Routing, Service, Site, Timeouts, Tls,
    UpstreamProtocol, UpstreamTls,
};
pub use self::doc::StatusRange;
