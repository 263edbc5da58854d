//! The loops: watcher (desired state), observer (observed state), layer keeper (tunnels, sites and their events), desk
//! (operators' orders), reconciler (plans), one worker for each edge, and the announcer (what a forge is told).
//!
//! They share nothing but watch channels that `app` makes. Something wakes a loop; it takes the newest snapshots and
//! computes again; what woke it is only reported.

mod announcer;
mod announcing;
mod answering;
mod backoff;
mod clock_watch;
mod debounce;
mod desk;
mod edge_worker;
mod hearing;
mod kept;
mod layers;
mod leaving;
mod memory;
mod observer;
mod pooling;
mod pulse;
mod recall;
mod reconciler;
mod refusing;
mod relay_log;
mod severing;
mod snapshot;
mod steering;
mod target;
mod watcher;

pub use self::announcer::Announcer;
pub use self::answering::Answering;
pub use self::debounce::Debounce;
pub use self::desk::{Desk, DeskOrder, FailbackOrder, ORDERS_BOUND, Set};
pub use self::edge_worker::EdgeSettings;
pub use self::hearing::Hearing;
pub use self::kept::{Kept, kept, unread};
pub use self::layers::LayerKeeper;
pub use self::observer::{Observer, ObserverSettings};
pub use self::pulse::Pulse;
pub use self::recall::{recall, recall_steering};
pub use self::reconciler::Reconciler;
pub use self::relay_log::RelayLog;
pub use self::severing::Severing;
pub use self::snapshot::{EdgeReports, PlanSnapshot, Refused, Served, SourceState};
pub use self::steering::{SteerOrder, Steered};
pub use self::watcher::{OnFault, Watcher, WatcherSettings, chain};

/// The wall clock, as the loops are given it.
pub type Clock = fn() -> crate::core::model::Timestamp;
