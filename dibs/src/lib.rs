//! The binary: configuration, command line, assembly of the roles, ops endpoints, data folder.

pub mod assemble;
pub mod cli;
pub mod config;
mod crew;
pub mod data;
pub mod demo;
mod descriptors;
mod engines;
mod keys;
mod migration;
mod ops;
mod readiness;
pub mod roles;
pub mod run;
pub mod running;
mod settings;
mod telemetry;

/// Claims allocate and free across threads all the time, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
