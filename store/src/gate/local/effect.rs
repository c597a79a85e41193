//! What the journal says: the effects of calls, as lines of JSON.
//!
//! Counters are absolute, states carry versions, and outbox entries have ids, so that an effect
//! that is read again over a later state of its round changes nothing in the end. A checkpoint
//! can therefore be taken piece by piece while calls go on.

use std::sync::Arc;

use sale::id::{BatchId, RoundId, Shard};
use sale::order::Batch;
use sale::status::Status;
use sale::terms::Terms;
use sale::ticket::TicketState;
use serde::{Deserialize, Serialize};

use crate::gate::{Settlement, Slot};

/// One line of the journal or of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Effect {
    /// The round is live with these terms and counters.
    Live {
        slot: SlotKey,
        terms: Terms,
        incarnation: u32,
        counters: Counters,
        restocks: Vec<(String, i32)>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        frozen: bool,
    },
    /// These tickets stand in the records. Counters are not touched.
    Tickets { slot: SlotKey, tickets: Vec<Settlement> },
    /// These batches stand in the outbox. Counters are not touched.
    Outbox { slot: SlotKey, batches: Vec<Arc<Batch>> },
    /// A call granted this batch.
    Granted { counters: Counters, batch: Arc<Batch> },
    /// Verdicts were taken in, and these batches left the outbox.
    Settled {
        slot: SlotKey,
        counters: Counters,
        settlements: Vec<Settlement>,
        decided: Vec<BatchId>,
    },
    /// The terms changed.
    Terms(Terms),
    /// The stock was changed.
    Restocked { slot: SlotKey, counters: Counters, key: String, applied: i32 },
    /// The round grants no more.
    Frozen { slot: SlotKey },
    /// The round is gone.
    Retired { slot: SlotKey },
    /// Nothing happened; the path was tried.
    Probe,
}

/// A [`Slot`] as two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SlotKey(u32, u8);

impl From<Slot> for SlotKey {
    fn from(slot: Slot) -> Self {
        Self(slot.round.0, slot.shard.0)
    }
}

impl From<SlotKey> for Slot {
    fn from(key: SlotKey) -> Self {
        Self { round: RoundId(key.0), shard: Shard(key.1) }
    }
}

/// The counts of a slot after an effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Units that nobody holds.
    pub(super) available: i64,
    /// Units of pending tickets.
    pub(super) held: u64,
    /// Units of confirmed tickets.
    pub(super) sold: u64,
    /// Counts the writes.
    pub(super) sequence: u64,
}

impl Counters {
    /// Counts a ticket that is there now.
    pub(super) fn add(&mut self, state: &TicketState) {
        let units = u64::from(state.units.get());
        match state.status {
            Status::Pending => self.held += units,
            Status::Confirmed => self.sold += units,
            Status::Rejected(_) => {}
        }
    }

    /// Counts a ticket no longer.
    pub(super) fn remove(&mut self, state: &TicketState) {
        let units = u64::from(state.units.get());
        match state.status {
            Status::Pending => self.held -= units,
            Status::Confirmed => self.sold -= units,
            Status::Rejected(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::id::{BuyerId, InstallId, SaleId, TicketId};
    use sale::order::OrderV1;
    use sale::status::Move;
    use sale::terms::Window;
    use sale::time::Timestamp;
    use sale::units::Units;

    fn effects() -> Vec<Effect> {
        let at = |ms: i64| Timestamp::from_millis(1_767_323_045_000 + ms).unwrap();
        let slot = SlotKey(7, 0);
        let counters = Counters { available: 8, held: 1, sold: 1, sequence: 2 };
        let mut ticket = TicketId([1; 16]);
        ticket.0[..5].copy_from_slice(&[0, 0, 0, 7, 0]);
        let buyer = BuyerId::new("ada").unwrap();
        let order = OrderV1 {
            ticket,
            buyer: buyer.clone(),
            units: Units::ONE,
            granted_at: at(1),
            incarnation: 1,
        };
        let state = order.pending().after(Move::Confirm, at(9)).unwrap();
        let settlement = Settlement { ticket, buyer, state };
        let batch = Batch::new(InstallId([9; 16]), BatchId([8; 16]), 2, vec![order]).unwrap();
        let batch = Arc::new(batch);
        let terms = Terms {
            sale: SaleId::new("demo").unwrap(),
            round: RoundId(7),
            limit: Units::ONE,
            window: Window::new(at(0), at(1000)).unwrap(),
            closed: false,
            version: 1,
        };
        vec![
            Effect::Live {
                slot,
                terms: terms.clone(),
                incarnation: 1,
                counters,
                restocks: vec![("k".into(), 5)],
                frozen: false,
            },
            Effect::Tickets { slot, tickets: vec![settlement.clone()] },
            Effect::Outbox { slot, batches: vec![batch.clone()] },
            Effect::Granted { counters, batch },
            Effect::Settled {
                slot,
                counters,
                settlements: vec![settlement],
                decided: vec![BatchId([8; 16])],
            },
            Effect::Terms(terms.clone()),
            Effect::Restocked { slot, counters, key: "k".into(), applied: -3 },
            Effect::Retired { slot },
            Effect::Probe,
            Effect::Live {
                slot,
                terms: terms.clone(),
                incarnation: 1,
                counters,
                restocks: vec![],
                frozen: true,
            },
            Effect::Frozen { slot },
        ]
    }

    #[test]
    fn the_lines_of_the_journal_are_the_golden_file_and_are_read_for_ever() {
        let golden = include_str!("../../../golden/gate-journal.v1.jsonl");
        let effects = effects();
        assert_eq!(golden.lines().count(), effects.len());
        for (line, effect) in golden.lines().zip(effects) {
            assert_eq!(serde_json::to_string(&effect).unwrap(), line);
            assert_eq!(serde_json::from_str::<Effect>(line).unwrap(), effect);
        }
    }
}
