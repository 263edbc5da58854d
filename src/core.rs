//! The functional core: values in, values out.
//!
//! *Architecture invariant:* nothing in here reads a clock, the environment, a file, the network or a random number; time
//! is a parameter and maps are ordered, so the same input gives the same bytes. `tests/it/tidy.rs` holds it.

pub mod caddy;
pub mod health;
pub mod import;
pub mod inventory;
pub mod model;
pub mod review;
pub mod routing;
pub mod simulate;
pub mod status;
pub mod steering;
pub mod trust;
