//! The copy of the sources that faults are planted in, with a target folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use super::last_lines;
use super::patch::Patch;

/// The folder of the copy and of all that comes of it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Copies what git knows of the sources, and what is new in them. What is the same in an
    /// earlier copy stays untouched, so that it is not built again.
    pub(super) async fn copy(sources: &Path) -> anyhow::Result<Self> {
        let scratch = Self(sources.join("target/planted"));
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed =
            ended(git.current_dir(sources)).await.context("git does not list the sources")?;
        let listed = String::from_utf8(listed.stdout).context("a file's name is no text")?;
        let listed = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
        // A file that was deleted and not committed yet is listed too.
        let files: BTreeSet<_> = listed.filter(|name| sources.join(name).is_file()).collect();
        let tree = scratch.tree();
        fs::create_dir_all(&tree).with_context(|| format!("cannot create {tree:?}"))?;
        for file in &files {
            let (from, to) = (sources.join(file), tree.join(file));
            copy_changed(&from, &to).with_context(|| format!("cannot copy {from:?}"))?;
        }
        keep_only(&tree, &tree, &files).with_context(|| format!("cannot clear {tree:?}"))?;
        Ok(scratch)
    }

    /// Where the runs of a fault leave what they have seen; empty.
    pub(super) fn folder_of(&self, patch: &Patch) -> anyhow::Result<PathBuf> {
        let folder = self.0.join("runs").join(&patch.name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {folder:?}"))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {folder:?}"))?;
        Ok(folder)
    }

    /// Plants a fault.
    pub(super) async fn apply(&self, patch: &Patch) -> anyhow::Result<()> {
        self.git_apply(&[], patch).await.context("the patch does not apply to these sources")
    }

    /// Takes it out again.
    pub(super) async fn take_out(&self, patch: &Patch) -> anyhow::Result<()> {
        self.git_apply(&["--reverse"], patch).await.context("the patch cannot be taken out again")
    }

    async fn git_apply(&self, options: &[&str], patch: &Patch) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        git.arg("apply").args(options).arg(&patch.path).current_dir(self.tree());
        // Inside a repository git takes the paths of a patch from its root.
        ended(git.env("GIT_CEILING_DIRECTORIES", &self.0)).await.map(drop)
    }

    /// Builds both programs, for development.
    pub(super) async fn build(&self) -> anyhow::Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--package", "dibs", "--package", "crowd"]);
        cargo.arg("--target-dir").arg(self.target()).current_dir(self.tree());
        ended(&mut cargo).await.context("it cannot be built").map(drop)
    }

    /// Where a program lies that was built.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name)
    }

    /// The folder of the engines that the scenarios share.
    pub(super) fn servers(&self) -> PathBuf {
        self.0.join("engines")
    }

    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn target(&self) -> PathBuf {
        self.0.join("target")
    }
}

/// Runs a program to its good end.
async fn ended(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.kill_on_drop(true).output().await.context("it cannot be started")?;
    ensure!(output.status.success(), "{}: {}", output.status, last_lines(&output.stderr));
    Ok(output)
}

fn copy_changed(from: &Path, to: &Path) -> std::io::Result<()> {
    if fs::read(to).is_ok_and(|there| fs::read(from).is_ok_and(|here| here == there)) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(drop)
}

/// Removes the files of an earlier copy that are gone from the sources: a migration is built in
/// by being there.
fn keep_only(tree: &Path, folder: &Path, files: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            keep_only(tree, &path, files)?;
        } else if path.strip_prefix(tree).is_ok_and(|name| !files.contains(name)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
