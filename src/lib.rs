//! Bascule: a GitOps failover control plane for Caddy.

pub mod core;
pub mod edge;
pub mod probe;
pub mod store;
