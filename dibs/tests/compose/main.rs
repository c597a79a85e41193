//! What compose.yaml starts, started without Docker: our roles with the commands and environment
//! that stand there, and the front door with its configuration. Only addresses are others.

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

mod container;
mod door;
mod file;

mod behind_the_door;
mod purchase;
mod written;
