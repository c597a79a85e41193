//! What a start refuses: each in one line that says what to do and holds no password.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "the crash tests use all of it")]
#[path = "../crash/dice.rs"]
mod dice;

#[allow(dead_code, reason = "the tests on engines use all of it")]
#[path = "../engines/install.rs"]
mod install;
#[allow(dead_code, reason = "the tests on engines use all of it")]
#[path = "../engines/proxy.rs"]
mod proxy;

mod attempt;

mod configured;
mod servers;
