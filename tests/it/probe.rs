//! See `src/probe.rs`.
