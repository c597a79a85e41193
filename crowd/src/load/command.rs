//! `crowd load`: sends the buyers, reads the books, and reports.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::fs;
use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

use super::arguments::Arguments;
use super::display;
use super::plan::Plan;
use super::progress::Progress;
use super::report::{self, Judged, Report};
use super::send::send;
use super::tally::Tally;
use crate::books;
use crate::check;
use crate::history::Recorder;

/// How long the books may take to become quiet.
const QUIET_WITHIN: Duration = Duration::from_secs(120);

/// Descriptors of this process that are no buyer's.
const OTHER_DESCRIPTORS: u64 = 256;

/// Descriptors of a buyer: a request and a stream.
const DESCRIPTORS: u64 = 2;

/// Buyers at a time where the system sets no limit.
const MOST_OPEN: u64 = 50_000;

/// Runs the command; ends with 1 if an invariant was violated.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let seed = arguments.seed();
    let folder = folder(arguments.out.as_deref(), seed);
    fs::create_dir_all(&folder).await.with_context(|| folder.display().to_string())?;
    let answer_within = arguments.answer_within;
    let plan = arguments.plan(seed, most_open()).await?;
    write_json(&folder.join("plan.json"), &plan).await?;

    let history = folder.join("history.jsonl");
    let tally = load(&plan, &history).await?;
    let judged = tokio::select! {
        judged = judge(&plan, answer_within, &folder, &history) => judged?,
        interrupted = ctrl_c() => {
            interrupted.context("interrupts cannot be heard")?;
            Judged::Not("interrupted before the verdict".to_owned())
        }
    };
    let report = Report { plan: &plan, tally: &tally, judged };
    write_json(&folder.join("report.json"), &report::json(&report)).await?;
    let page = folder.join("report.html");
    write(&page, report::html(&report).as_bytes()).await?;
    let out = &mut io::stdout().lock();
    write!(out, "{}", report::text(&report))?;
    writeln!(out, "\nThe page: {}", page.display())?;
    Ok(if report.violated() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn folder(given: Option<&Path>, seed: u64) -> PathBuf {
    given.map_or_else(|| PathBuf::from(format!("target/crowd/load-{seed}")), Path::to_owned)
}

/// Sends the crowd, until it is done or somebody interrupts. Whoever interrupts again does not wait
/// for its end.
async fn load(plan: &Plan, history: &Path) -> anyhow::Result<Tally> {
    let recording = Recorder::create(history).await;
    let (recorder, writing) = recording.with_context(|| history.display().to_string())?;
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let mut sending = Box::pin(send(plan, &recorder, &progress, &cancel));
    let mut showing = Box::pin(display::show(plan.arrivals.buyers(), &progress));
    let tally = loop {
        tokio::select! {
            tally = &mut sending => break tally,
            never = &mut showing => match never {},
            interrupted = ctrl_c() => {
                interrupted.context("interrupts cannot be heard")?;
                ensure!(!cancel.is_cancelled(), "interrupted twice: nothing is reported");
                cancel.cancel();
            }
        }
    };
    drop(sending);
    drop(showing);
    drop(recorder);
    writing.end().await.with_context(|| history.display().to_string())?;
    tally.context("the load could not begin")
}

/// Reads the books, and judges the history by them.
async fn judge(
    plan: &Plan,
    answer_within: Duration,
    folder: &Path,
    history: &Path,
) -> anyhow::Result<Judged> {
    let Some(ledger) = &plan.ledger else {
        return Ok(Judged::Not("the books can be read with the --admin-key only".to_owned()));
    };
    let _shown = display::waiting("Reading the books");
    let mut books = match books::read(ledger, &plan.sales, QUIET_WITHIN).await {
        Ok(books) => books,
        Err(error) => return Ok(Judged::Not(format!("the books cannot be read: {error}"))),
    };
    books.answer_within_ms = u64::try_from(answer_within.as_millis()).ok();
    write_json(&folder.join("books.json"), &books).await?;
    Ok(Judged::Verdict(check::judge(history, &books).await?))
}

async fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write(path, &json).await
}

async fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).await.with_context(|| format!("{} cannot be written", path.display()))
}

/// Raises the limit of file descriptors as far as it goes, and tells how many buyers it allows at a
/// time.
fn most_open() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let has =
        if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let buyers = has.map_or(MOST_OPEN, |has| has.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS);
    usize::try_from(buyers.min(MOST_OPEN)).unwrap_or(usize::MAX)
}
