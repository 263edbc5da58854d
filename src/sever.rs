//! Ending the TCP connections to a backend that is gone, in the network namespace that bascule runs in.
//!
//! What was sent to a machine that has vanished waits for an answer until some timeout; the system that sent it can be told
//! to give the connection up at once (`ss -K` does the same). Whether a backend is gone is not decided here.

mod diag;
mod severer;
mod silence;

pub use self::severer::{SeverError, Severer};
pub use self::silence::is_silent;
