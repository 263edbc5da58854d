#![no_main]

#[path = "../../tests/it/fuzzing/inventory.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
