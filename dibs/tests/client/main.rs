//! The Rust client against the real binary: every way to a result, and what stands in between.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ask.rs"]
mod ask;
#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/dice.rs"]
mod dice;
#[allow(dead_code, reason = "the contract's tests use all of it")]
#[path = "../contract/ledger.rs"]
mod ledger;

mod admin;
mod buyer;
mod claims;
mod front;
mod refusals;
mod restarts;
mod sockets;
mod ways;
