//! See `src/git.rs`.
