//! The three seams to what keeps state: the gate grants, the log carries, the ledger decides.
//!
//! Each is a closed enum of its engines. Callers see batched, asynchronous calls that can fail,
//! and never what engine answers.

pub mod clock;
pub mod gate;
pub mod ledger;
pub mod log;
#[cfg(test)]
mod model;
pub mod open;
pub mod stage;

/// The three seams of one install, as every role gets them.
#[derive(Clone)]
pub struct Seams {
    /// Where claims are granted.
    pub gate: gate::Gate,
    /// What carries orders and outcomes.
    pub log: log::Log,
    /// Where orders are decided.
    pub ledger: ledger::Ledger,
}
