//! See `src/store.rs`.

mod durability;
mod load;
mod open;
mod overrides;
mod process;
mod retention;
mod rows;
mod sample;
