//! What keeps state: one engine a seam.

use super::setting::section;

section! {
    /// The engines of the three seams.
    Engines in "Engines" {
        /// Where claims are granted.
        gate: Engine = Plain("local"), "local", engine;
        /// What hands orders to the worker.
        log: Engine = Plain("local"), "local", engine;
        /// Where results are decided and kept.
        ledger: Engine = Plain("local"), "local", engine;
    }
}

/// An engine of a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// In this process, on its data folder.
    Local,
}

fn engine(text: &str) -> Result<Engine, String> {
    match text {
        "local" => Ok(Engine::Local),
        _ => Err("must be local: this version has no other engine".to_owned()),
    }
}
