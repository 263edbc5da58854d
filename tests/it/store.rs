//! See `src/store.rs`.

mod durability;
mod events;
mod load;
mod open;
mod overrides;
mod process;
mod retention;
mod rows;
mod sample;
