//! The inventory's source: a git repository, remote or local, or a plain directory.
//!
//! [`Source::fetch`] gives the files of the newest revision, in memory; [`watch_local`] says when a local source may have
//! changed. Files of a repository come from its object database only, never from a work tree or an index, so neither a
//! half-written file nor a symbolic link can matter.
//!
//! libgit2 blocks, and a network can hang it: every fetch has a thread of its own behind an async door with a deadline.

mod access;
mod cache;
mod deadline;
mod directory;
mod error;
mod known_hosts;
mod libgit2;
mod location;
mod remote;
mod repository;
mod revisions;
mod settings;
mod signature;
mod source;
mod tree;
mod watch;

pub use self::error::{Fault, HostKey, HostKeyCure, SourceError};
pub use self::location::Location;
pub use self::repository::read_revision;
pub use self::revisions::{Faulty, Revisions};
pub use self::settings::{Credentials, SourceSettings};
pub use self::source::{Moved, Snapshot, Source};
pub use self::tree::prefix;
pub use self::watch::{WatchGuard, watch_folder, watch_local};
