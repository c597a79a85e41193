//! The binary: configuration, command line, assembly of the roles, ops endpoints, data folder.

pub mod cli;
pub mod config;
pub mod data;
