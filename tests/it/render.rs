//! See `src/core/caddy.rs`.

mod chain;
mod diff;
mod exclusive;
mod matchers;
mod real_caddy;
mod rendered;
mod stand_in;
