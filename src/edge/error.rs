use std::error::Error;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::core::model::AdminAddress;

/// What an error was caused by.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request to an edge's admin API did not do what was asked.
#[derive(Debug, Error)]
pub enum AdminError {
    /// Nobody listens there, or no connection came about in time. Nothing was sent.
    #[error("cannot connect to Caddy's admin API at {address}")]
    Unreachable {
        /// The admin API.
        address: AdminAddress,
        /// What the connection failed of.
        source: BoxError,
    },
    /// A connection, but no whole answer in time.
    #[error("Caddy's admin API at {address} did not finish {request} within {} ms", limit.as_millis())]
    Timeout {
        /// The admin API.
        address: AdminAddress,
        /// What was asked.
        request: Request,
        /// How long it had.
        limit: Duration,
    },
    /// The connection ended in the middle. Caddy replaces its admin server at every load, so this happens without a fault
    /// too: 1 of 300 loads on 2.11.7.
    #[error("the connection to Caddy's admin API at {address} broke off while {request}")]
    Broken {
        /// The admin API.
        address: AdminAddress,
        /// What was asked.
        request: Request,
        /// How it ended.
        source: BoxError,
    },
    /// Caddy will not run this configuration, and goes on with the one it has.
    #[error("Caddy at {address} rejected the config: {message}")]
    Rejected {
        /// The admin API.
        address: AdminAddress,
        /// 400 or 500: Caddy answers a failed load under `/config/` with 500 (2.11.7), a duplicate `@id` with 400.
        status: u16,
        /// Caddy's own words.
        message: String,
    },
    /// Somebody else changed the configuration since it was read.
    #[error("the config of Caddy at {address} changed after it was read: there is a second writer")]
    Conflict {
        /// The admin API.
        address: AdminAddress,
    },
    /// Caddy does not accept requests under this name.
    #[error("Caddy at {address} refuses this client: {message}; its `admin.origins` must contain `{host}`")]
    Forbidden {
        /// The admin API.
        address: AdminAddress,
        /// Caddy's own words.
        message: String,
        /// The `Host` that bascule sends, which is also the host of the `Origin` it sends when asked for one.
        host: String,
    },
    /// Whoever answers there does not speak like Caddy's admin API.
    #[error("{address} does not answer like Caddy's admin API (status {status}): {message}")]
    NotCaddy {
        /// The supposed admin API.
        address: AdminAddress,
        /// Status of the answer.
        status: u16,
        /// What is wrong with the answer, or its beginning.
        message: String,
    },
}

impl AdminError {
    /// What a loop must do next.
    pub fn class(&self) -> FaultClass {
        match self {
            Self::Timeout { request: Request::Replace, .. } | Self::Broken { request: Request::Replace, .. } => {
                FaultClass::UnknownOutcome
            }
            // Forbidden is mended at the edge and not in the inventory, so no new input will announce that it was.
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::Forbidden { .. }
            | Self::NotCaddy { .. } => FaultClass::Retry,
            Self::Rejected { .. } => FaultClass::Stall,
            Self::Conflict { .. } => FaultClass::Conflict,
        }
    }

    /// The admin API that was asked.
    pub fn address(&self) -> &AdminAddress {
        match self {
            Self::Unreachable { address, .. }
            | Self::Timeout { address, .. }
            | Self::Broken { address, .. }
            | Self::Rejected { address, .. }
            | Self::Conflict { address }
            | Self::Forbidden { address, .. }
            | Self::NotCaddy { address, .. } => address,
        }
    }
}

/// What a loop must do after an [`AdminError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultClass {
    /// Try again later, with backoff.
    Retry,
    /// Do not send this configuration again until inputs change.
    Stall,
    /// Read again, compare, and then perhaps write again.
    Conflict,
    /// The edge may or may not have taken it: read before anything else.
    UnknownOutcome,
}

/// What an edge was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// The whole configuration.
    Read,
    /// To run another configuration.
    Replace,
    /// What is under way to its upstreams.
    Count,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading the config",
            Self::Replace => "loading a config",
            Self::Count => "counting requests",
        })
    }
}
