//! What the ledger knows of the gate of a round, and the rules by which it is rebuilt: pure, on
//! rows that the caller holds locked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sale::id::RoundId;
use sale::order::Batch;
use sale::time::Timestamp;

use super::{LedgerError, Sale};
use crate::gate::{Figures, Snapshot};

/// A worker, as long as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerId(pub [u8; 16]);

/// Who rebuilds the gate of a round; meanwhile the others leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub by: WorkerId,
    /// When it ends, unless he renews it.
    pub until: Timestamp,
}

impl Lease {
    /// Whether it holds, if leases are taken for so long. One that ends later than twice as far
    /// ahead was taken by a clock that is wrong, and would keep the others away until then.
    pub fn holds(&self, now: Timestamp, lease_for: Duration) -> bool {
        self.until > now && self.until <= latest(now, now.plus(lease_for))
    }
}

/// The latest that a lease can end which others are to respect, where one that is taken now would
/// end `until`.
pub(super) fn latest(now: Timestamp, until: Timestamp) -> Timestamp {
    until.plus(until.since(now))
}

/// The highest write sequences of the gate that batches carried, by round and incarnation. As
/// large as the batches that it was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached(BTreeMap<(RoundId, u32), u64>);

impl Reached {
    /// What these batches carried. One that does not say it counts for nothing.
    pub fn of(batches: &[Arc<Batch>]) -> Self {
        let mut reached = BTreeMap::new();
        for batch in batches {
            // All orders of a batch were granted by one call.
            let incarnation = batch.orders()[0].incarnation;
            if incarnation > 0 {
                let highest: &mut u64 = reached.entry((batch.round(), incarnation)).or_default();
                *highest = batch.sequence.max(*highest);
            }
        }
        Self(reached)
    }

    /// The highest of a round's incarnation; 0 if none is known.
    pub(super) fn by(&self, round: RoundId, incarnation: u32) -> u64 {
        self.0.get(&(round, incarnation)).copied().unwrap_or_default()
    }
}

impl Sale {
    /// Whether its round was never loaded into a gate, as far as the ledger knows.
    pub fn is_new(&self) -> bool {
        !self.loaded && self.incarnation == 1
    }

    /// Whether the gate of its round is to be rebuilt.
    pub fn is_recovering(&self) -> bool {
        !self.loaded && self.incarnation > 1
    }

    /// Why a gate does not hold all that is known of it, in words; `None` if it does.
    pub fn loss_in(&self, gate: &Figures) -> Option<&'static str> {
        if gate.incarnation < self.incarnation {
            Some("the gate is of an older incarnation")
        } else if gate.frozen {
            Some("the gate was found to be behind")
        } else if gate.incarnation == self.incarnation && gate.sequence < self.sequence {
            // A gate of a later incarnation than this row's counts from its own begin.
            Some("the gate is behind what the ledger has decided")
        } else {
            None
        }
    }
}

/// What stands in a round as long as nothing changes that its gate is loaded from.
pub(super) struct Unmoved {
    pub(super) stock: i64,
    pub(super) available: i64,
    pub(super) rejected: i64,
    /// Changes of stock that `available` contains. Two of them may cancel each other out.
    pub(super) restocks: i64,
}

impl Unmoved {
    pub(super) fn since(snapshot: &Snapshot) -> Self {
        Self {
            stock: snapshot.available.saturating_add_unsigned(snapshot.sold()),
            available: snapshot.available,
            rejected: count(snapshot.rejected()),
            restocks: count(snapshot.restocks.len()),
        }
    }
}

/// A number of things in memory, which every engine can count.
fn count(things: usize) -> i64 {
    i64::try_from(things).expect("memory holds fewer")
}

/// The bit that says that the fence of a partition has come back.
pub(super) fn bit(partition: u8) -> Result<i64, LedgerError> {
    // The sign is no bit on every engine.
    let bit = 1_i64.checked_shl(partition.into()).filter(|bit| *bit > 0);
    bit.ok_or_else(|| {
        LedgerError::Refused(format!("there is no partition {partition}: 62 is the last"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::id::{BatchId, BuyerId, InstallId, TicketId};
    use sale::order::OrderV1;
    use sale::units::Units;

    fn batch(round: u8, incarnation: u32, sequence: u64) -> Arc<Batch> {
        let mut ticket = [0; 16];
        ticket[3] = round;
        let order = OrderV1 {
            ticket: TicketId(ticket),
            buyer: BuyerId::new("ada").unwrap(),
            units: Units::ONE,
            granted_at: Timestamp::from_millis(1_000).unwrap(),
            incarnation,
        };
        let made = Batch::new(InstallId([9; 16]), BatchId([8; 16]), sequence, vec![order]);
        Arc::new(made.unwrap())
    }

    #[test]
    fn the_highest_sequence_of_each_round_and_incarnation_counts() {
        let carried =
            [batch(7, 1, 9), batch(7, 2, 3), batch(7, 2, 5), batch(7, 2, 4), batch(8, 1, 2)];
        let reached = Reached::of(&carried);
        let by = |round, incarnation| reached.by(RoundId(round), incarnation);
        assert_eq!((by(7, 1), by(7, 2), by(8, 1)), (9, 5, 2));
        assert_eq!((by(8, 2), by(9, 1)), (0, 0));
    }

    #[test]
    fn a_batch_that_does_not_say_where_the_gate_was_counts_for_nothing() {
        assert_eq!(Reached::of(&[batch(7, 0, 9)]), Reached::default());
        assert_eq!(Reached::of(&[batch(7, 1, 0)]).by(RoundId(7), 1), 0);
    }

    #[test]
    fn each_partition_has_a_bit_of_its_own() {
        let bits: i64 = (0..63).map(|partition| bit(partition).unwrap()).sum();
        assert_eq!(bits, i64::MAX);
        for none in [63, 64, 255] {
            assert!(bit(none).is_err());
        }
    }
}
