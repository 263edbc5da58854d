//! The HTTP API: health of bascule itself, the status, and operators' orders.

mod access;
mod operator;
mod orders;
mod server;
mod token;

pub use self::operator::Operator;
pub use self::server::{Api, ApiError, bind};
pub use self::token::ApiToken;
