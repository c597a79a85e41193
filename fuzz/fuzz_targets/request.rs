#![no_main]

#[path = "../src/request.rs"]
mod request;
#[path = "../src/shop.rs"]
mod shop;

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::run(data));
