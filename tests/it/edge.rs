//! See `src/edge.rs`.
