//! The whole program: the real binary, a real git repository, a real Caddy, real backends.

mod client;
mod commands;
mod demo;
mod diagnostics;
mod drain;
mod failback;
mod faults;
mod guard;
mod kill9;
mod layers;
mod orders;
mod overrides;
mod probes;
mod program;
mod push;
mod ramp;
mod relay;
mod secrets;
mod settings;
mod signed;
mod simulate;
mod talker;
mod traffic;
mod world;
