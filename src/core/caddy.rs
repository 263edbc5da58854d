//! Caddy's configuration: rendering what should be served, and comparing it with what an edge runs.
//!
//! The rules come from Caddy's documentation ("JSON Config Structure") and from measurements of Caddy 2.11; where a rule
//! guards against something Caddy accepts and then gets wrong, the comment says what.

mod actual;
mod chain;
mod checks;
pub mod compare;
mod culprit;
mod diff;
pub mod evidence;
mod handler;
mod json;
mod links;
mod matcher;
mod pool;
pub mod relay;
mod render;
mod scope;
mod server;
mod slots;
mod sweep;
mod traffic;

pub use self::actual::{Actual, Seen, Standing};
pub use self::checks::is_relayed;
pub use self::culprit::culprit;
pub use self::diff::{EdgeChange, UpstreamWeight, dialed, diff};
pub use self::matcher::Overlaps;
pub use self::pool::Pool;
pub use self::render::{Rendered, render, service_of_route_id};
pub use self::scope::{own_part, taken_port, with_own_part};
pub use self::traffic::traffic;
