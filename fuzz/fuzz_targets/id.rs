#![no_main]

#[path = "../src/id.rs"]
mod id;

libfuzzer_sys::fuzz_target!(|data: &[u8]| id::run(data));
