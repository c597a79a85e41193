//! The roles as processes of their own on Redis, Pulsar and MySQL: bought, killed, cut off.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ask.rs"]
mod ask;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/raw.rs"]
mod raw;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/sse.rs"]
mod sse;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ws.rs"]
mod ws;

#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/books.rs"]
mod books;
#[path = "../crash/buyer.rs"]
mod buyer;
#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/dice.rs"]
mod dice;
#[path = "../crash/eyes.rs"]
mod eyes;
#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/market.rs"]
mod market;
#[path = "../crash/memory.rs"]
mod memory;

mod deployment;
#[allow(dead_code, reason = "the tests of faults use all of it")]
mod install;
#[allow(dead_code, reason = "the tests of faults use all of it")]
mod proxy;

mod away;
mod crowd;
mod kills;
mod merchant;
mod mixed;
mod outages;
mod poisoned;
mod purchase;
mod telemetry;
