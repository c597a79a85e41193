//! Loads: on a server whose answers the test holds back, and on the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod held_back;
mod open_loop;
mod real;

use std::time::Duration;

/// How long anything may take before a test is called failed. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
