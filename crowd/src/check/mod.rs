//! Decides from a history and the books whether every invariant held.
//!
//! The history is read once, from its begin to its end. What is kept of it is constant for each
//! ticket, claim and stream; each file here decides one subject from that.

mod agreement;
mod answers;
mod bytes;
mod claims;
mod commit;
mod deadline;
mod finals;
mod index;
mod owners;
mod pass;
mod report;
mod shown;
mod told;
mod units;
mod verdict;
mod versions;
mod window;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::books::Books;
use crate::history::Reader;
use pass::Pass;

pub use verdict::{Checked, Kind, Verdict, Violation};

/// What the command is given.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder of a run, with its history.jsonl and books.json.
    folder: PathBuf,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// Judges a history by the books.
///
/// # Errors
/// The history cannot be read, a line of it is no event, or it is of a sale that the books lack.
pub async fn judge(history: &Path, books: &Books) -> anyhow::Result<Verdict> {
    let opened = Reader::open(history).await;
    let mut events = opened.with_context(|| format!("{} cannot be read", history.display()))?;
    let mut pass = Pass::new(books)?;
    while let Some(event) =
        events.next().await.with_context(|| format!("{} is no history", history.display()))?
    {
        let line = events.line();
        pass.take(line, event).with_context(|| format!("line {line} of the history"))?;
    }
    Ok(pass.end(events.is_cut_off()))
}

/// Prints the verdict on a run; ends with 1 if an invariant was violated.
pub async fn run(Arguments { folder, json }: Arguments) -> anyhow::Result<ExitCode> {
    let path = folder.join("books.json");
    let text = tokio::fs::read(&path).await;
    let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
    let books: Books = serde_json::from_slice(&text)
        .with_context(|| format!("{} holds no books", path.display()))?;
    let verdict = judge(&folder.join("history.jsonl"), &books).await?;
    let out = &mut io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&verdict)?)?;
    } else {
        verdict.print(out)?;
    }
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
