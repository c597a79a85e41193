//! A scenario of a planted fault: one run of `crowd chaos`, and what its checker found.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::time::timeout;

use super::last_lines;
use super::patch::Patch;
use super::scratch::Scratch;
use crate::check::{Kind, Verdict};

/// Beyond it a scenario stands still.
const MOST: Duration = Duration::from_secs(600);

/// How often each kind of violation was found.
pub(super) type Found = BTreeMap<Kind, u64>;

/// Runs the scenario with the programs that were built in the copy.
pub(super) async fn run(scratch: &Scratch, patch: &Patch) -> anyhow::Result<Found> {
    let folder = scratch.folder_of(patch)?;
    let mut chaos = Command::new(scratch.binary("crowd"));
    chaos.arg("chaos").args(&patch.scenario);
    chaos.arg("--dibs").arg(scratch.binary("dibs")).arg("--keep").arg(&folder);
    if patch.needs_servers() {
        chaos.arg("--servers").arg(scratch.servers());
    }
    let chaos = chaos.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let chaos = chaos.context("crowd chaos cannot be started")?;
    let asked_to_end = AskedToEnd(chaos.id());
    let output = timeout(MOST, chaos.wait_with_output()).await;
    let output = output.with_context(|| format!("the scenario did not end within {MOST:?}"))??;
    asked_to_end.has_ended();
    let (status, said) = (output.status, last_lines(&output.stderr));
    ensure!(matches!(status.code(), Some(0 | 1)), "no verdict ({status}): {said}");
    let text = tokio::fs::read(folder.join("verdict.json")).await.context("no verdict")?;
    let verdict: Verdict = serde_json::from_slice(&text).context("the verdict is none")?;
    ensure!(verdict.checked.granted > 0, "the verdict is about nothing: no claim was granted");
    ensure!(status.success() || !verdict.holds(), "buyers were not served: see report.json");
    Ok(verdict.found)
}

/// Such as `lost 2, no-answer 7`.
pub(super) fn in_words(found: &Found) -> String {
    if found.is_empty() {
        return "nothing".to_owned();
    }
    let kinds: Vec<_> = found.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
    kinds.join(", ")
}

/// A program that ends what it has started when it is asked to end: dropped, it is asked.
struct AskedToEnd(Option<u32>);

impl AskedToEnd {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for AskedToEnd {
    fn drop(&mut self) {
        let pid = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Where it has ended by itself, nobody is to be asked.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    }
}
