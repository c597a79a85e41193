//! The real binary, killed at any moment: what it has answered holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../harness/mod.rs"]
mod harness;

mod books;
mod buyer;
mod claims;
mod copies;
mod dice;
mod drain;
mod eyes;
mod kills;
mod market;
mod memory;
mod merchant;
mod restocks;
mod wal;
