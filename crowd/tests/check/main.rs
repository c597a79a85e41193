//! The history checker: what it accuses, and what it does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod crossing;
mod figures;
mod in_time;
mod mutations;
mod reading;
mod scene;
mod simulated;
mod told;
