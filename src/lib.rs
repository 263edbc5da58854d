//! Bascule: a GitOps failover control plane for Caddy.

pub mod api;
pub mod app;
pub mod cli;
pub mod controller;
pub mod core;
pub mod edge;
pub mod forge;
pub mod git;
pub mod probe;
pub mod sever;
pub mod store;
