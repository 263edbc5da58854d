//! See `src/probe.rs`.

mod body;
mod http;
mod pace;
mod rig;
mod server;
mod tcp;
mod tls;
