//! How far a load is, for whoever looks on while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts what happens; its clones count together.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    due: AtomicU64,
    shed: AtomicU64,
    ended: AtomicU64,
    granted: AtomicU64,
    refused: AtomicU64,
    finals: AtomicU64,
    errors: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Buyers who were sent and whose moment has come.
    pub due: u64,
    /// Buyers who were not sent, because too many were open.
    pub shed: u64,
    /// Buyers who were sent and are done.
    pub ended: u64,
    /// Claims that were answered with a ticket.
    pub granted: u64,
    /// Claims that were refused for good.
    pub refused: u64,
    /// Tickets whose final result is known.
    pub finals: u64,
    /// Attempts and reads that failed.
    pub errors: u64,
}

impl Progress {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        let Counts { due, shed, ended, granted, refused, finals, errors } = &*self.0;
        Standing {
            due: due.load(Relaxed),
            shed: shed.load(Relaxed),
            ended: ended.load(Relaxed),
            granted: granted.load(Relaxed),
            refused: refused.load(Relaxed),
            finals: finals.load(Relaxed),
            errors: errors.load(Relaxed),
        }
    }

    pub(super) fn due(&self) {
        self.0.due.fetch_add(1, Relaxed);
    }

    pub(super) fn shed(&self) {
        self.0.shed.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        self.0.ended.fetch_add(1, Relaxed);
    }

    pub(super) fn granted(&self) {
        self.0.granted.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn known(&self) {
        self.0.finals.fetch_add(1, Relaxed);
    }

    pub(super) fn error(&self) {
        self.0.errors.fetch_add(1, Relaxed);
    }
}
