//! See `src/core/caddy.rs`.

mod diff;
mod exclusive;
mod matchers;
mod real_caddy;
mod rendered;
