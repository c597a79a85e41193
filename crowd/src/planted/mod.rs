//! Planted faults: each is applied to a copy of the sources, built and run, and the checker must
//! find what its patch names. The same scenarios without them must end in nothing.

mod patch;
mod scenario;
mod scratch;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::chaos::binary::repository;
use crate::chaos::ended;
use crate::chaos::servers::Servers;
use patch::Patch;
use scratch::Scratch;

/// What the command is given.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The faults to plant, by their names or how these begin; all of them if none is named.
    names: Vec<String>,
    /// Runs their scenarios without them: nothing may be found then.
    #[arg(long)]
    clean: bool,
}

/// What a run has shown.
struct Shown {
    as_it_must: bool,
    says: String,
}

/// Runs the command: 1 when a fault survives, or something is found that was not planted.
///
/// # Errors
/// No fault is called so, or the sources cannot be copied.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // What was dropped has ended.
    tokio::select! {
        shown = show(arguments) => shown,
        signal = ended() => signal.and_then(|name| bail!("{name}: cut off")),
    }
}

async fn show(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let sources = repository().canonicalize().context("the repository is not there any more")?;
    let patches = Patch::all(&sources.join("crowd/planted"))?;
    let patches = named(patches, &arguments.names)?;
    let scratch = Scratch::copy(&sources).await?;
    let _servers = if patches.iter().any(Patch::needs_servers) {
        Some(Servers::up(&scratch.servers()).await?)
    } else {
        None
    };
    if arguments.clean {
        scratch.build().await?;
    }
    let width = patches.iter().map(|patch| patch.name.len()).max().unwrap_or_default();
    let mut all_as_they_must = true;
    for patch in &patches {
        let begun = Instant::now();
        let shown = if arguments.clean {
            clean(&scratch, patch).await
        } else {
            plant(&scratch, patch).await
        };
        let Shown { as_it_must, says } = shown.unwrap_or_else(|error| Shown {
            as_it_must: false,
            says: format!("not run: {error:#}"),
        });
        all_as_they_must &= as_it_must;
        let mark = if as_it_must { "ok  " } else { "FAIL" };
        let name = &patch.name;
        let seconds = begun.elapsed().as_secs();
        writeln!(std::io::stdout(), "{mark}  {name:width$}  {seconds:>4} s  {says}")?;
    }
    Ok(if all_as_they_must { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn named(patches: Vec<Patch>, names: &[String]) -> anyhow::Result<Vec<Patch>> {
    for name in names {
        let known = patches.iter().any(|patch| patch.name.starts_with(name));
        ensure!(known, "no planted fault is called {name}; crowd/planted has them");
    }
    let meant = |patch: &Patch| names.iter().any(|name| patch.name.starts_with(name));
    Ok(patches.into_iter().filter(|patch| names.is_empty() || meant(patch)).collect())
}

/// Plants a fault, and takes it out again whatever came of it.
async fn plant(scratch: &Scratch, patch: &Patch) -> anyhow::Result<Shown> {
    scratch.apply(patch).await?;
    let shown = async {
        scratch.build().await?;
        let found = scenario::run(scratch, patch).await?;
        let missed: Vec<_> =
            patch.violations.iter().filter(|kind| !found.contains_key(kind)).collect();
        let says = scenario::in_words(&found);
        Ok(if missed.is_empty() {
            Shown { as_it_must: true, says: format!("found {says}") }
        } else {
            let missed: Vec<_> = missed.into_iter().map(ToString::to_string).collect();
            let says = format!("missed {}, found {says}", missed.join(", "));
            Shown { as_it_must: false, says }
        })
    };
    let shown = shown.await;
    scratch.take_out(patch).await?;
    shown
}

/// Runs the scenario of a fault without it.
async fn clean(scratch: &Scratch, patch: &Patch) -> anyhow::Result<Shown> {
    let found = scenario::run(scratch, patch).await?;
    let says = format!("found {}", scenario::in_words(&found));
    Ok(Shown { as_it_must: found.is_empty(), says })
}

/// The last lines of what a program said, in one.
fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

#[cfg(test)]
mod tests;
