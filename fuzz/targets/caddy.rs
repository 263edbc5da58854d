#![no_main]

#[path = "../../tests/it/fuzzing/caddy.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
