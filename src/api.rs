//! The HTTP API: health of bascule itself, and the status.

mod server;

pub use self::server::{Api, ApiError};
