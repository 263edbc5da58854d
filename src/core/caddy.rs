//! Caddy's configuration as a value: what is compared, and how what an edge runs is judged.

mod actual;
pub mod compare;

pub use self::actual::{Actual, Seen, Standing};
