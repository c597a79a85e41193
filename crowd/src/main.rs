//! The `crowd` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use crowd::{bench, chaos, check, load, planted};

/// Simulated buyers that load Dibs, break it and judge it from outside.
#[derive(Parser)]
#[command(name = "crowd", version)]
struct Crowd {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends buyers to an address, by a schedule that waits for no answer.
    Load(load::Arguments),
    /// Decides from a history and the books whether every invariant held.
    Check(check::Arguments),
    /// Breaks a deployment of its own under load, heals it, and checks.
    Chaos(chaos::Arguments),
    /// Applies faults to copies of the source, and shows that each is found.
    Planted(planted::Arguments),
    /// Makes the figures of docs/performance.md.
    Bench(bench::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Crowd::parse().command {
        Command::Load(arguments) => load::run(arguments).await,
        Command::Check(arguments) => check::run(arguments).await,
        Command::Chaos(arguments) => chaos::run(arguments).await,
        Command::Planted(arguments) => planted::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
    }
}
