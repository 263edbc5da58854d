//! What several tests need: real programs, scratch folders, waiting with a deadline.

#![expect(unreachable_pub, reason = "a test binary has no outside; `pub` says what other test modules may use")]

pub mod admin_front;
pub mod caddy;
pub mod fake_caddy;
pub mod forge_server;
pub mod git_http;
pub mod git_repo;
pub mod grpc;
pub mod http;
pub mod inventory;
pub mod openpgp;
pub mod port;
pub mod recording_proxy;
pub mod signing;
pub mod view;
pub mod wait;
