//! See `src/probe.rs`.

mod http;
mod pace;
mod rig;
mod server;
mod tcp;
mod tls;
