//! See `src/probe.rs`.

mod body;
mod grpc;
mod http;
mod pace;
mod rig;
mod server;
mod several;
mod tcp;
mod tls;
