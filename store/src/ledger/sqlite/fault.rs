//! What went wrong, told apart: what may pass by itself, and what this very call meets again.

use std::path::Path;

use sqlx::migrate::MigrateError;

use crate::ledger::LedgerError;

/// An error of this engine.
#[derive(Debug)]
pub(in crate::ledger) struct Fault(LedgerError);

impl Fault {
    /// What the call asks for cannot be written.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self(LedgerError::Refused(why.into()))
    }

    /// Why the tables of the file could not be brought up to date.
    #[expect(clippy::wildcard_enum_match_arm, reason = "more variants may come with sqlx")]
    pub(super) fn of_migration(path: &Path, error: MigrateError) -> Self {
        let file = path.display();
        match error {
            MigrateError::VersionMissing(step) => Self::refused(format!(
                "{file} was written by a newer version of Dibs (step {step} of its tables is not \
                 known here): start that version or a later one"
            )),
            MigrateError::VersionMismatch(step) => Self::refused(format!(
                "step {step} of the tables in {file} is not the one that this version has: \
                 start the version that made it, or a released one"
            )),
            MigrateError::Dirty(step) => Self::refused(format!(
                "step {step} of the tables in {file} was left half done: restore a backup"
            )),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => Self::refused(format!("the tables in {file} cannot be set up: {other}")),
        }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self(error)
    }
}

impl From<sqlx::Error> for Fault {
    #[expect(clippy::wildcard_enum_match_arm, reason = "more variants may come with sqlx")]
    fn from(error: sqlx::Error) -> Self {
        let passing = match &error {
            sqlx::Error::Database(engine) => {
                engine.code().and_then(|code| code.parse().ok()).is_some_and(is_passing)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::InvalidSavePointStatement
            | sqlx::Error::BeginFailed => true,
            _ => false,
        };
        let text = error.to_string();
        Self(if passing { LedgerError::Unavailable(text) } else { LedgerError::Refused(text) })
    }
}

impl From<Fault> for LedgerError {
    fn from(Fault(error): Fault) -> Self {
        error
    }
}

/// Whether a result code of SQLite speaks of the machine, not of the call: permission, busy,
/// locked, no memory, read-only, interrupted, input or output, full, cannot open, lock protocol.
fn is_passing(code: u32) -> bool {
    matches!(code & 0xff, 3 | 5..=10 | 13..=15)
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn the_machines_faults_pass_and_those_of_the_call_do_not() {
        for busy_snapshot_full_fsync in [5, 517, 13, 1034] {
            assert!(is_passing(busy_snapshot_full_fsync));
        }
        for error_corrupt_check_trigger_mismatch in [1, 11, 275, 1811, 20] {
            assert!(!is_passing(error_corrupt_check_trigger_mismatch));
        }
    }
}
