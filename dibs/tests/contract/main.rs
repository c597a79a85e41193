//! The HTTP contract, line by line: the real binary, asked over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../harness/mod.rs"]
mod harness;

mod ask;
mod ledger;
mod raw;
mod sse;
mod ws;

mod admin;
mod afterwards;
mod agreement;
mod bodies;
mod buyers;
mod changes;
mod claims;
mod crowd;
mod draining;
mod events;
mod failing;
mod guests;
mod hostile;
mod listing;
#[cfg(target_os = "linux")]
mod memory;
mod ops;
mod origins;
mod parked;
mod polling;
mod reads;
mod recovering;
mod refusals;
mod rfc6455;
mod sales;
mod secrecy;
mod socket;
