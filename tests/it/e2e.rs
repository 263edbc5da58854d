//! The whole program: the real binary, a real git repository, a real Caddy, real backends.

mod client;
mod faults;
mod kill9;
mod push;
mod world;
