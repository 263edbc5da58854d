//! The HTTP API: health of bascule itself, the status, operators' orders, and webhooks.

mod access;
mod operator;
mod orders;
mod server;
mod token;
mod webhook;

pub use self::operator::Operator;
pub use self::server::{Api, ApiError, ApiSecrets, bind};
pub use self::token::ApiToken;
pub use self::webhook::{WebhookSecret, Webhooks};
