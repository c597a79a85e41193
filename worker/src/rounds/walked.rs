//! What the last walk has seen, for others to know.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sale::id::RoundId;

/// Recovering rounds that are told; all of them are counted.
const RECOVERING_TOLD: usize = 100;

/// What the last walk has seen.
#[derive(Default)]
pub(crate) struct Walked {
    undecided: AtomicUsize,
    recovering: Mutex<Vec<RoundId>>,
}

impl Walked {
    /// Orders in the outboxes.
    pub(crate) fn undecided(&self) -> usize {
        self.undecided.load(Ordering::Relaxed)
    }

    pub(super) fn set_undecided(&self, orders: usize) {
        self.undecided.store(orders, Ordering::Relaxed);
    }

    /// Rounds that recover; of many, the first.
    pub(crate) fn recovering(&self) -> Vec<RoundId> {
        self.recovering.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_recovering(&self, mut rounds: Vec<RoundId>) {
        rounds.truncate(RECOVERING_TOLD);
        *self.recovering.lock().unwrap_or_else(PoisonError::into_inner) = rounds;
    }
}
