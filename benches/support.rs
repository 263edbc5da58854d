//! What `benches/relay.rs` is made of.

pub(crate) mod backends;
pub(crate) mod client;
pub(crate) mod fleet;
pub(crate) mod meter;
#[path = "../tests/it/support/port.rs"]
#[expect(unreachable_pub, reason = "it is a module of the tests, where `pub` is what is written")]
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod proxies;
pub(crate) mod roles;
