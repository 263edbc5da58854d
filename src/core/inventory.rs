//! From YAML files to desired state: parse → schema → check → resolve.

#[cfg(test)]
mod agreement;
mod codes;
mod desired;
pub mod doc;
mod documents;
mod finding;
mod guard;
mod header;
mod kind;
mod load;
mod probe_target;
mod quarantine;
pub mod report;
mod resolve;
mod rules;
mod schema;
mod starter;
mod suggest;
mod yaml;

pub use self::codes::{CODES, closest_code, page};
pub use self::desired::{
    Backend, BackendState, BodyExpectation, BodyPattern, Connections, Desired, Edge, Failback, GrpcProbe, HttpProbe,
    Origin, Page, Policy, Probe, ProbeKind, ProbeMethod, Relay, Routing, Scope, SecretName, SecretText, Service, Site,
    Tier, Timeouts, Tls, Tries, Try, Tunnel, UpstreamProtocol, UpstreamTls, WhenAllDown, WireguardPeer,
};
pub use self::doc::{Minimum, StatusRange, Sticky};
pub(in crate::core) use self::guard::lost_services;
pub use self::guard::{Consent, Held, Loss, RevisionGuard};
pub(in crate::core) use self::header::takes_header;
pub use self::kind::Kind;
pub use self::load::{Loaded, load};
pub use self::quarantine::{AtFault, Composed, QuarantineFault, Quarantined, Uncomposed, compose};
pub use self::schema::{embedded, schemas, schemas_for};
pub use self::starter::starter;
pub(in crate::core) use self::suggest::closest;
pub use self::yaml::{Unformatted, format};
