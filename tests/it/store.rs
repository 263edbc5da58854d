//! See `src/store.rs`.
