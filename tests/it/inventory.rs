//! See `src/core/inventory.rs`.
