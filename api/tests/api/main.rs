//! The API over its router, on real engines in a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod claims;
mod hand_over;
mod public;
mod refusals;
mod rounds;
mod shop;
mod side_by_side;
mod slow_gate;
