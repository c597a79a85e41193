//! Where the figures were made.

use anyhow::Context as _;
use tokio::process::Command;

use super::Bench;
use crate::chaos::binary::repository;

/// The machine, the versions and the settings, a line each.
pub(super) async fn describe(bench: &Bench) -> anyhow::Result<Vec<String>> {
    let told = tokio::fs::read_to_string("/proc/cpuinfo").await.context("no /proc/cpuinfo")?;
    let models: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    let memory = tokio::fs::read_to_string("/proc/meminfo").await.context("no /proc/meminfo")?;
    let memory = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    let kernel = tokio::fs::read_to_string("/proc/sys/kernel/osrelease").await.unwrap_or_default();
    let version = said(Command::new(&bench.dibs).arg("--version")).await?;
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(repository());
    // An unpacked archive has none.
    let commit = said(&mut git).await.unwrap_or_default();
    Ok(vec![
        format!(
            "{} × {}, {} GiB, Linux {}",
            models.len(),
            models.first().unwrap_or(&"a processor without a name"),
            memory.unwrap_or_default() / (1 << 20),
            kernel.trim(),
        ),
        format!("{version} {commit}, crowd {}", env!("CARGO_PKG_VERSION")),
        format!("{}; every setting of dibs at its default unless told", bench.cores.describe()),
    ])
}

async fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().await.context("cannot ask for a version")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
