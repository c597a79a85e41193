//! Breaks a deployment of its own under load, heals it, and judges what the buyers saw.
//!
//! A cell of the matrix is one fault at one part. Everything about it is drawn from one seed. All
//! that is started here ends with this program.

pub mod binary;
pub mod cell;
pub mod clock;
pub mod deployment;
pub mod fault;
mod http;
mod matrix;
mod probe;
pub mod process;
pub mod proxy;
pub mod recovery;
pub mod redis;
pub mod schedule;
pub mod servers;
mod strike;
pub mod touched;
pub mod visitors;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use cell::{Outcome, Report};
use deployment::Deployment;
use fault::{Cell, Engines};
use process::Setting;
use touched::Touched;
use visitors::Visitors;

/// What the command is given.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    every: Option<Every>,
    #[command(flatten)]
    one: One,
}

#[derive(Debug, Subcommand)]
enum Every {
    /// Runs every fault on every part where it means something, and prints a table.
    Matrix(matrix::Arguments),
}

/// One cell.
#[derive(Debug, Args)]
pub struct One {
    /// What the deployment stands on.
    #[arg(long, value_enum, default_value = "embedded")]
    engines: Engines,
    /// Everything is drawn from it; without it, it is drawn too, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// What is done, such as kill; `none` for a calm run. Without it one is drawn.
    #[arg(long)]
    fault: Option<String>,
    /// What it is done to, such as worker or api-redis, where that is not the only one.
    #[arg(long, requires = "fault")]
    part: Option<String>,
    #[command(flatten)]
    on: On,
}

/// What cells are run on.
#[derive(Debug, Args)]
pub struct On {
    /// The dibs binary; without it the one of this repository is built.
    #[arg(long, value_name = "PATH")]
    dibs: Option<PathBuf>,
    /// A setting of every dibs process, such as resend_after=200ms.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<Setting>,
    #[command(flatten)]
    visitors: Visitors,
    /// Keeps histories, books, verdicts and logs in this folder; without it those of a violation
    /// are kept.
    #[arg(long, value_name = "FOLDER", alias = "folder")]
    keep: Option<PathBuf>,
    /// A folder of tools/engines whose Pulsar and MySQL are used and left running.
    #[arg(long, value_name = "FOLDER")]
    servers: Option<PathBuf>,
}

/// Runs the command: 0 is clean, 1 a violation or buyers who are not served again, 2 that nothing
/// can be said.
///
/// # Errors
/// Not even what went wrong can be printed.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let running = async {
        match arguments.every {
            Some(Every::Matrix(arguments)) => matrix::run(arguments).await,
            None => one(arguments.one).await,
        }
    };
    // What was dropped has ended.
    let done = tokio::select! {
        done = running => done,
        signal = ended() => signal.and_then(|name| anyhow::bail!("{name}: cut off")),
    };
    done.or_else(|error| {
        writeln!(std::io::stderr(), "crowd chaos: {error:#}")?;
        Ok(ExitCode::from(2))
    })
}

async fn one(One { engines, seed, fault, part, on }: One) -> anyhow::Result<ExitCode> {
    let seed = seed.unwrap_or_else(|| rand::random::<u32>().into());
    let cell = match fault {
        Some(fault) => Cell::find(engines, &fault, part.as_deref()).map_err(anyhow::Error::msg)?,
        None => {
            let cells = engines.matrix();
            cells[usize::try_from(seed % cells.len() as u64)?]
        }
    };
    let place = Place::new(on.keep.as_deref())?;
    say(&format!("{cell}, seed {seed}"))?;
    let dibs = binary::dibs(on.dibs.as_deref()).await?;
    let mut deployment = on.start(engines, &dibs, &place).await?;
    match cell::run(&mut deployment, cell, seed, &on.visitors, place.path()).await? {
        Outcome::Judged(report) => {
            report.verdict.print(&mut std::io::stdout())?;
            say(&figures(&report))?;
            if let Some(why) = &report.left {
                say(&format!("not put back in order: {why}"))?;
            }
            if report.holds() {
                return Ok(ExitCode::SUCCESS);
            }
            if let Some(who) = report.unserved() {
                say(who)?;
            }
            say(&format!("kept in {}", place.keep().display()))?;
            Ok(ExitCode::FAILURE)
        }
        Outcome::NotRun(why) => {
            say(&format!("NOT RUN: {why}"))?;
            Ok(ExitCode::from(2))
        }
    }
}

impl On {
    async fn start(
        &self,
        engines: Engines,
        dibs: &Path,
        place: &Place,
    ) -> anyhow::Result<Deployment> {
        let folder = place.path().join("deployment");
        Deployment::start(engines, dibs, &folder, &self.settings, self.servers.as_deref()).await
    }
}

/// Where a run's files lie.
struct Place {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn new(given: Option<&Path>) -> anyhow::Result<Self> {
        let Some(given) = given else {
            let temporary = tempfile::Builder::new().prefix("crowd-chaos-").tempdir()?;
            return Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        std::fs::create_dir_all(given)
            .with_context(|| format!("cannot create {}", given.display()))?;
        Ok(Self { path: given.canonicalize()?, temporary: None })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Has it stay after the end.
    fn keep(self) -> PathBuf {
        if let Some(temporary) = self.temporary {
            return temporary.keep();
        }
        self.path
    }
}

fn figures(Report { recovery, touched, took, .. }: &Report) -> String {
    let touched = touched.map(|Touched { connections, bytes }| {
        format!("; touched {connections} connections and {bytes} bytes")
    });
    format!(
        "first answer after healing: {}; all {} who waited decided: {}; took {:.1} s{}",
        seconds(recovery.first_answer),
        recovery.waiting,
        seconds(recovery.all_decided),
        took.as_secs_f64(),
        touched.unwrap_or_default(),
    )
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

/// Ends when somebody asks this program to end; the signal's name.
pub(crate) async fn ended() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map(|()| "SIGINT").map_err(Into::into),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

fn setting(text: &str) -> Result<Setting, String> {
    let (key, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
