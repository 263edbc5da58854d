use std::future::Future;

use crate::core::caddy::Actual;
use crate::core::routing::OpenRequests;

use super::AdminError;

/// What [`apply`](super::apply()) needs of an edge: Caddy's admin API, or a stand-in for it in a simulation.
pub trait Admin: Sync {
    /// Reads the whole configuration and its tag.
    fn read(&self) -> impl Future<Output = Result<Actual, AdminError>> + Send;

    /// Replaces the whole configuration, provided that `etag` is still the tag of the present one.
    ///
    /// `config` is JSON. An error of class [`FaultClass::UnknownOutcome`](super::FaultClass) means that the edge may have
    /// taken it all the same.
    fn replace(&self, config: Vec<u8>, etag: &str) -> impl Future<Output = Result<(), AdminError>> + Send;

    /// How many requests and streams are under way to each upstream; none where the edge cannot tell.
    fn open_requests(&self) -> impl Future<Output = Result<Option<OpenRequests>, AdminError>> + Send {
        async { Ok(None) }
    }
}
