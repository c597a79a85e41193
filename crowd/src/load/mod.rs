//! load

use std::process::ExitCode;

/// What the command is given.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the command.
pub async fn run(_: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there")
}
