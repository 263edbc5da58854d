//! Probing: when each backend is asked, and how.
//!
//! [`Prober::run`] takes the set of backends from a `watch` channel, asks each once an interval and sends one
//! [`Sample`](crate::core::health::Sample) for each probe into a bounded `mpsc` channel. It decides nothing about health:
//! that is [`core::health`](crate::core::health).
//!
//! *Architecture invariants:* when each probe is due is decided by `schedule`, which reads no clock and opens no socket.
//! A sample is never dropped while the prober runs: when the receiver is slow, its slots stay taken and probing slows down.
//! A fault on the prober's own side is told as [`Failure::Prober`](crate::core::health::Failure::Prober), never as a
//! failure of the backend.

mod attempt;
mod dial;
mod grpc;
mod http;
mod limits;
mod prober;
mod schedule;
mod secrets;
mod stats;
mod suspicions;
mod target;
mod tunnel;

pub use self::limits::{OpenFilesError, raise_open_files};
pub use self::prober::{Clock, Prober, ProberError, ProberSettings, SAMPLES_BOUND};
pub use self::secrets::{AllowedSecret, Secrets};
pub use self::stats::{LAG_BOUNDS, LagHistogram, ProberSnapshot, ProberStats};
pub use self::suspicions::Suspicions;
pub use self::target::{ProbeSet, ProbeTarget, probe_set};
pub use self::tunnel::{
    LOOKS_BOUND, PeerError, Peers, TunnelProber, TunnelSet, read_by_program, read_by_socket, read_peers, tunnel_set,
};
