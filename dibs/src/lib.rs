//! The binary: configuration, command line, assembly of the roles, ops endpoints, data folder.

pub mod assemble;
pub mod cli;
pub mod config;
pub mod data;
pub mod demo;
mod descriptors;
mod ops;
mod readiness;
pub mod run;
pub mod running;
mod settings;
mod telemetry;

/// Claims allocate and free across threads all the time, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
