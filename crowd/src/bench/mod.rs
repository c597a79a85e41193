//! Makes the figures of docs/performance.md, each beside its baseline in the same run.
//!
//! Where there is more than one core, servers and crowd have cores of their own: a crowd that
//! grows would else take from the very servers that it measures.

mod burst;
mod cores;
mod drawing;
mod engines;
mod generator;
mod growth;
mod machine;
mod overload;
mod shop;
mod sockets;
mod table;
mod watchers;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::chaos::binary;
use cores::Cores;
use table::{Row, Table};

/// What the command is given.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What is measured; without it, all.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// The dibs binary; without it the one of this repository is built.
    #[arg(long, value_name = "PATH")]
    dibs: Option<PathBuf>,
    /// A folder of tools/engines whose Pulsar and MySQL are used and left running.
    #[arg(long, value_name = "FOLDER")]
    servers: Option<PathBuf>,
    /// Writes the figures as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws how cost grows into this SVG.
    #[arg(long, value_name = "FILE")]
    drawing: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Claims at shares of capacity, and beyond it.
    Overload,
    /// Many who wait, told at once.
    Burst,
    /// What an idle WebSocket costs.
    Sockets,
    /// What a claim costs as stock, buyers and watchers grow.
    Growth,
    /// The local engines beside Redis, Pulsar and MySQL.
    Engines,
}

/// In the order in which they are measured.
const EVERY: [Part; 5] = [Part::Overload, Part::Burst, Part::Sockets, Part::Growth, Part::Engines];

/// What every part is measured with.
struct Bench {
    dibs: PathBuf,
    servers: Option<PathBuf>,
    cores: Cores,
    drawing: Option<PathBuf>,
}

/// Runs the command: 0 if every figure is what it is to be, 1 if one is not.
///
/// # Errors
/// Something could not be measured.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { parts, dibs, servers, json, drawing } = arguments;
    let dibs = binary::dibs(dibs.as_deref()).await?;
    cores::raise_descriptors();
    let bench = Bench { dibs, servers, cores: Cores::split()?, drawing };
    let mut table = Table::begin(machine::describe(&bench).await?)?;
    for part in EVERY {
        if parts.is_empty() || parts.contains(&part) {
            table.add(bench.measure(part).await.with_context(|| format!("{part:?}"))?)?;
        }
    }
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&table)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Bench {
    async fn measure(&self, part: Part) -> anyhow::Result<Vec<Row>> {
        match part {
            Part::Overload => overload::measure(self).await,
            Part::Burst => burst::measure(self).await,
            Part::Sockets => sockets::measure(self).await,
            Part::Growth => growth::measure(self).await,
            Part::Engines => engines::measure(self).await,
        }
    }
}
