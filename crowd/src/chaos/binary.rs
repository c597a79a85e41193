//! The `dibs` binary that is broken, loaded or measured.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// The one that is given, else the repository's own, built as this program was: for development
/// or for release. A test takes the one that was built with it, if there is one.
///
/// # Errors
/// There is no such file, or it cannot be built.
pub async fn dibs(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return given.canonicalize().with_context(|| format!("cannot find {}", given.display()));
    }
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    let is_test = here.parent().is_some_and(|folder| folder.ends_with("deps"));
    let beside = || {
        let mut folders = here.ancestors().skip(1).take(2);
        folders.find_map(|folder| Some(folder.join("dibs")).filter(|path| path.is_file()))
    };
    if let Some(built) = beside().filter(|_| is_test) {
        return Ok(built);
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "dibs"]).current_dir(repository());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.status().await.context("cannot run cargo; name a dibs binary by --dibs")?;
    ensure!(built.success(), "dibs cannot be built; name a binary of it by --dibs");
    beside()
        .with_context(|| format!("dibs was built, and not beside {}: give --dibs", here.display()))
}

/// Where the sources of this program lie.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
