//! What docs/operations.md and docs/alerts.yaml say is what the code has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 6] = ["api", "dibs", "edge", "push", "store", "worker"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document(name: &str) -> String {
    fs::read_to_string(workspace().join("docs").join(name)).unwrap()
}

/// The names in a text that begin with `prefix`.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.len() > prefix.len() && word.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

/// The names of metrics in the sources of a folder.
fn metrics_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            metrics_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let texts = text.split('"').skip(1).step_by(2);
            let is_name = |text: &&str| names(text, "dibs_").iter().any(|name| name == text);
            found.extend(texts.filter(is_name).map(str::to_owned));
        }
    }
}

fn metrics() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for each in CRATES {
        metrics_in(&workspace().join(each).join("src"), &mut found);
    }
    found
}

#[test]
fn every_metric_is_explained_and_every_explained_metric_is_there() {
    let metrics = metrics();
    assert!(metrics.len() > 20, "{metrics:?}");
    assert_eq!(names(&document("operations.md"), "dibs_"), metrics);
}

#[test]
fn every_alert_is_explained_and_watches_metrics_that_are_there() {
    let alerts = document("alerts.yaml");
    assert_eq!(names(&alerts, "Dibs"), names(&document("operations.md"), "Dibs"));
    let metrics = metrics();
    for name in names(&alerts, "dibs_") {
        assert!(metrics.contains(&name), "{name}");
    }
}

#[test]
fn every_variable_that_is_named_is_a_setting() {
    let listed = Command::new(env!("CARGO_BIN_EXE_dibs")).args(["config"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let settings: BTreeSet<_> = listed.split_whitespace().map(str::to_uppercase).collect();
    for name in names(&document("operations.md"), "DIBS_") {
        assert!(settings.contains(name.strip_prefix("DIBS_").unwrap()), "{name}");
    }
}
