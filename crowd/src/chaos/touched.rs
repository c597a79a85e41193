//! What a fault of a connection has done to it: one that did nothing proves nothing.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// How much was not let through as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// Connections that were reset, or fell silent.
    pub connections: u64,
    /// Bytes that were held, delayed, or taken in sips.
    pub bytes: u64,
}

impl Touched {
    /// Whether the fault was one.
    pub fn is_something(self) -> bool {
        self != Self::default()
    }
}

impl Sum for Touched {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            connections: sum.connections + one.connections,
            bytes: sum.bytes + one.bytes,
        })
    }
}

/// Counts it.
#[derive(Debug, Default)]
pub(super) struct Counting {
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What there was since it was taken last.
    pub(super) fn take(&self) -> Touched {
        Touched {
            connections: self.connections.swap(0, Ordering::Relaxed),
            bytes: self.bytes.swap(0, Ordering::Relaxed),
        }
    }
}
