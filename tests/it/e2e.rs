//! The whole program: the real binary, a real git repository, a real Caddy, real backends.

mod client;
mod commands;
mod demo;
mod diagnostics;
mod failback;
mod faults;
mod kill9;
mod orders;
mod overrides;
mod program;
mod push;
mod relay;
mod secrets;
mod settings;
mod talker;
mod traffic;
mod world;
