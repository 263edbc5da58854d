//! Caddy edges: the client of the admin API, and the one sequence by which an edge gets a configuration.
//!
//! Nothing in here decides what an edge should serve, when to try or when to give up: [`apply`](apply()) makes one pass and
//! says what came of it.

mod admin;
mod apply;
mod client;
mod error;
mod evidence;
mod relay;
mod scoped;

pub use self::admin::Admin;
pub use self::apply::{ApplyReport, ApplySettings, Clock, Order, Outcome, apply};
pub use self::client::{AdminSettings, CaddyAdmin, ClientError};
pub use self::error::{AdminError, BoxError, FaultClass, Request};
pub use self::evidence::{EvidenceError, EvidenceListener, Hear};
pub use self::relay::{Answer, Asked, RelayError, RelayServer};
pub use self::scoped::ScopedAdmin;
