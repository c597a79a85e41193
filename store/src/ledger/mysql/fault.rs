//! What went wrong, told apart: what may pass by itself, and what this very call meets again.

use crate::ledger::LedgerError;

/// An error of this engine.
#[derive(Debug)]
pub(in crate::ledger) struct Fault(LedgerError);

impl From<Fault> for LedgerError {
    fn from(Fault(error): Fault) -> Self {
        error
    }
}
