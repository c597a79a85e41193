//! The outbox of a round: batches that the ledger has not decided yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sale::id::BatchId;
use sale::order::Batch;
use sale::time::Timestamp;

/// Batches by id, by when they are overdue, and by age. What it costs to find the overdue ones
/// does not grow with those that are not.
#[derive(Default)]
pub(super) struct Outbox {
    entries: HashMap<BatchId, Entry>,
    due: BTreeSet<(Instant, BatchId)>,
    granted: BTreeSet<(Timestamp, BatchId)>,
    orders: usize,
    units: u64,
}

struct Entry {
    batch: Arc<Batch>,
    due_at: Instant,
    step: Duration,
}

impl Outbox {
    /// Keeps a batch; it is overdue after `step`.
    pub(super) fn insert(&mut self, batch: Arc<Batch>, step: Duration) {
        self.put(batch, Instant::now() + step, step);
    }

    /// Keeps a batch that was read from the journal: due at once.
    pub(super) fn restore(&mut self, batch: Arc<Batch>) {
        self.put(batch, Instant::now(), Duration::ZERO);
    }

    fn put(&mut self, batch: Arc<Batch>, due_at: Instant, step: Duration) {
        let id = batch.id;
        self.remove(id);
        self.orders += batch.orders().len();
        self.units += units(&batch);
        self.due.insert((due_at, id));
        self.granted.insert((batch.granted_at(), id));
        self.entries.insert(id, Entry { batch, due_at, step });
    }

    /// Drops a decided batch. Answers whether it was there.
    pub(super) fn remove(&mut self, id: BatchId) -> bool {
        let Some(entry) = self.entries.remove(&id) else { return false };
        self.due.remove(&(entry.due_at, id));
        self.granted.remove(&(entry.batch.granted_at(), id));
        self.orders -= entry.batch.orders().len();
        self.units -= units(&entry.batch);
        true
    }

    /// Hands out what is overdue and stamps it, so that nobody else sends it this step.
    pub(super) fn take_overdue(
        &mut self,
        most: usize,
        first: Duration,
        longest: Duration,
    ) -> Vec<Arc<Batch>> {
        let now = Instant::now();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((due_at, id)) = self.due.first().copied()
            && due_at <= now
        {
            self.due.pop_first();
            taken.push(id);
        }
        let stamp = |id| {
            let entry = self.entries.get_mut(&id)?;
            entry.step = (entry.step * 2).max(first).min(longest);
            entry.due_at = now + entry.step;
            self.due.insert((entry.due_at, id));
            Some(entry.batch.clone())
        };
        taken.into_iter().filter_map(stamp).collect()
    }

    /// Makes all of it due at once.
    pub(super) fn make_due(&mut self) {
        let now = Instant::now();
        self.due = self.entries.keys().map(|id| (now, *id)).collect();
        self.entries.values_mut().for_each(|entry| entry.due_at = now);
    }

    /// The orders in all batches.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// The units of all those orders.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// When the oldest of all batches was granted.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.granted.first().map(|(granted_at, _)| *granted_at)
    }

    /// All batches.
    pub(super) fn batches(&self) -> Vec<Arc<Batch>> {
        self.entries.values().map(|entry| entry.batch.clone()).collect()
    }
}

fn units(batch: &Batch) -> u64 {
    batch.orders().iter().map(|order| u64::from(order.units.get())).sum()
}
