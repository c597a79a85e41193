//! A planted fault: a unified diff under a header in words.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use crate::check::Kind;

/// A fault that can be planted.
#[derive(Debug)]
pub(super) struct Patch {
    /// The file's name, without its ending.
    pub(super) name: String,
    /// The file.
    pub(super) path: PathBuf,
    /// All of them must be found.
    pub(super) violations: Vec<Kind>,
    /// What `crowd chaos` is given.
    pub(super) scenario: Vec<String>,
}

impl Patch {
    /// Every patch of a folder, by name.
    pub(super) fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let files = fs::read_dir(folder).with_context(|| format!("cannot read {folder:?}"))?;
        let paths = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
        let mut paths: Vec<_> = paths
            .into_iter()
            .filter(|path| path.extension().is_some_and(|it| it == "patch"))
            .collect();
        paths.sort();
        let read = |path: PathBuf| {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
            let shown = path.display().to_string();
            Self::parse(path, &text).with_context(|| format!("{shown} is no planted fault"))
        };
        paths.into_iter().map(read).collect()
    }

    /// Whether its scenario runs on Pulsar and MySQL.
    pub(super) fn needs_servers(&self) -> bool {
        self.scenario.windows(2).any(|pair| pair == ["--engines", "real"])
    }

    fn parse(path: PathBuf, text: &str) -> anyhow::Result<Self> {
        let (header, _) = text.split_once("\ndiff --git ").context("it has no diff")?;
        let value = |name: &str| {
            let mut lines = header.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.with_context(|| format!("its header has no line `{name}: …`"))
        };
        let told = header.lines().take_while(|line| !line.is_empty()).count();
        ensure!(told > 0, "its header does not say what it does");
        let kind = |name: &str| Kind::from_str(name.trim(), false).map_err(anyhow::Error::msg);
        let violations =
            value("Violation")?.split(',').map(kind).collect::<anyhow::Result<Vec<_>>>()?;
        let name =
            path.file_stem().and_then(|name| name.to_str()).context("its name is no text")?;
        Ok(Self {
            name: name.to_owned(),
            violations,
            scenario: value("Scenario")?.split_whitespace().map(str::to_owned).collect(),
            path,
        })
    }
}
