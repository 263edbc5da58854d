//! The inventory's source: a git repository (remote or local) or a plain directory.
//!
//! *Architecture invariants:* files come from the object database of a fetched commit, never from a work tree, so a file
//! that is half written or a symbolic link cannot matter. libgit2 blocks and may hang, so it runs on a thread of its own
//! with a deadline. No message ever carries a credential.

mod credentials;
mod directory;
mod error;
mod host_key;
mod location;
mod repository;
mod source;
mod tree;
mod watch;

pub use self::credentials::Credentials;
pub use self::error::SourceError;
pub use self::location::{Location, LocationError};
pub use self::source::{Moved, Snapshot, Source, SourceSettings};
pub use self::watch::{WatchGuard, watch_local};
