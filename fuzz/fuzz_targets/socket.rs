#![no_main]

#[path = "../src/shop.rs"]
mod shop;
#[path = "../src/socket.rs"]
mod socket;

libfuzzer_sys::fuzz_target!(|data: &[u8]| socket::run(data));
