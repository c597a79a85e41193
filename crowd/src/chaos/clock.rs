//! A wall clock of one process that can be set: libfaketime, loaded into it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// Where Debian's package `faketime` has it, on the usual machines.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// By how many seconds a clock is tried.
const TRIED: i64 = 3_600;

/// The clock; its offset stands in a file that the process reads again and again.
#[derive(Debug, Clone)]
pub struct FakeClock {
    library: &'static Path,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that goes right; none where the library is not installed, or does nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn right(file: PathBuf) -> anyhow::Result<Option<Self>> {
        let Some(library) = LIBRARIES.map(Path::new).into_iter().find(|path| path.is_file()) else {
            return Ok(None);
        };
        let clock = Self { library, file };
        clock.set(TRIED).await?;
        let right = date(&[]).await?;
        let ahead = date(&clock.environment()).await? - right;
        clock.set(0).await?;
        Ok((TRIED..TRIED + 60).contains(&ahead).then_some(clock))
    }

    /// Puts it so many seconds ahead of the system's, or behind.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn set(&self, seconds: i64) -> anyhow::Result<()> {
        // In one step: read half-written it would be another time.
        let beside = self.file.with_extension("next");
        tokio::fs::write(&beside, format!("{seconds:+}s\n")).await?;
        let moved = tokio::fs::rename(&beside, &self.file).await;
        moved.with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// What a process has in its environment that goes by it. Time that is only counted goes on
    /// as it does.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}

/// The time that a process sees with this environment, in seconds since 1970.
async fn date(environment: &[(&str, PathBuf)]) -> anyhow::Result<i64> {
    let mut command = Command::new("date");
    command.arg("+%s").envs(environment.iter().cloned()).kill_on_drop(true);
    let output = command.output().await.context("cannot run date")?;
    String::from_utf8(output.stdout)?.trim().parse().context("date shows no time")
}
