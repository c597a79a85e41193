//! What the log carries from gate to ledger: orders, in the batches they were granted in, and
//! the fences among them.
//!
//! The text of a batch is read by processes of other versions and lies in the gate across
//! upgrades, so it carries a version, and golden files lock what every later version must read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fence::Fence;
use crate::id::{BatchId, BuyerId, InstallId, RoundId, Shard, TicketId};
use crate::ticket::TicketState;
use crate::time::{Timestamp, millis};
use crate::units::Units;

/// One grant on its way to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderV1 {
    /// The ticket that was answered; it names round and shard.
    pub ticket: TicketId,
    /// Who gets the units.
    pub buyer: BuyerId,
    /// How many.
    pub units: Units,
    /// When the gate granted it.
    #[serde(with = "millis")]
    pub granted_at: Timestamp,
    /// The incarnation of the gate that granted it; 0 where it is not known, as for an order
    /// that was read back from a token.
    pub incarnation: u32,
}

impl OrderV1 {
    /// The ticket's state as long as nothing but the order is known of it.
    pub fn pending(&self) -> TicketState {
        TicketState::pending(self.units, self.granted_at)
    }
}

/// The orders that one call of the gate granted: one outbox entry, one message of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct Batch {
    /// The database that the orders belong to.
    pub install: InstallId,
    /// The batch's own id.
    pub id: BatchId,
    /// The gate's write sequence of the round after this grant; 0 where it is not known.
    pub sequence: u64,
    orders: Vec<OrderV1>,
}

/// What a topic of orders carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Orders to be decided.
    Batch(Arc<Batch>),
    /// The end of those of an older incarnation.
    Fence(Fence),
}

/// Why orders are no batch, or a text is none.
#[derive(Debug, thiserror::Error)]
pub enum NotABatch {
    /// It holds no order.
    #[error("a batch holds at least one order")]
    Empty,
    /// Its orders name more than one round or shard.
    #[error("all orders of a batch belong to one round and shard")]
    Mixed,
    /// The text is not the JSON of a known version.
    #[error("not a batch of a known version: {0}")]
    Unreadable(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Text {
    #[serde(rename = "batch.v1")]
    V1(BatchV1),
}

#[derive(Serialize, Deserialize)]
struct BatchV1 {
    install: InstallId,
    batch: BatchId,
    sequence: u64,
    orders: Vec<OrderV1>,
}

impl Batch {
    /// Puts orders of one round and shard into a batch.
    pub fn new(
        install: InstallId,
        id: BatchId,
        sequence: u64,
        orders: Vec<OrderV1>,
    ) -> Result<Self, NotABatch> {
        let first = orders.first().ok_or(NotABatch::Empty)?.ticket;
        let same = |order: &OrderV1| {
            order.ticket.round() == first.round() && order.ticket.shard() == first.shard()
        };
        if orders.iter().all(same) {
            Ok(Self { install, id, sequence, orders })
        } else {
            Err(NotABatch::Mixed)
        }
    }

    /// Its orders: at least one, all of one round and shard.
    pub fn orders(&self) -> &[OrderV1] {
        &self.orders
    }

    /// When it was granted. All that one call grants is granted at once.
    pub fn granted_at(&self) -> Timestamp {
        self.orders[0].granted_at
    }

    /// The round of all its orders.
    pub fn round(&self) -> RoundId {
        self.orders[0].ticket.round()
    }

    /// The shard of all its orders.
    pub fn shard(&self) -> Shard {
        self.orders[0].ticket.shard()
    }

    /// The message's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a batch has text keys and plain values only")
    }

    /// Reads a message's text, of any version that was ever written.
    pub fn from_json(text: &[u8]) -> Result<Self, NotABatch> {
        serde_json::from_slice::<Text>(text)?.try_into()
    }
}

impl Message {
    /// The database that it belongs to.
    pub fn install(&self) -> InstallId {
        match self {
            Self::Batch(batch) => batch.install,
            Self::Fence(fence) => fence.install,
        }
    }

    /// The message's text.
    pub fn to_json(&self) -> String {
        match self {
            Self::Batch(batch) => batch.to_json(),
            Self::Fence(fence) => fence.to_json(),
        }
    }

    /// Reads a message's text, of any version that was ever written.
    pub fn from_json(text: &[u8]) -> Result<Self, NotABatch> {
        // What is no fence shows at its first key, so a batch is read once.
        match Fence::from_json(text) {
            Ok(fence) => Ok(Self::Fence(fence)),
            Err(_) => Ok(Self::Batch(Arc::new(Batch::from_json(text)?))),
        }
    }
}

impl From<Batch> for Text {
    fn from(batch: Batch) -> Self {
        Self::V1(BatchV1 {
            install: batch.install,
            batch: batch.id,
            sequence: batch.sequence,
            orders: batch.orders,
        })
    }
}

impl TryFrom<Text> for Batch {
    type Error = NotABatch;

    fn try_from(text: Text) -> Result<Self, NotABatch> {
        let Text::V1(batch) = text;
        Self::new(batch.install, batch.batch, batch.sequence, batch.orders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let order = |n: u8, buyer: &str, units| {
            let mut id = [n; 16];
            id[..5].copy_from_slice(&[0, 0, 0, 7, 0]);
            OrderV1 {
                ticket: TicketId(id),
                buyer: BuyerId::new(buyer).unwrap(),
                units: Units::new(units).unwrap(),
                granted_at: Timestamp::from_millis(1_767_323_045_678).unwrap(),
                incarnation: 1,
            }
        };
        let orders = vec![order(1, "ada", 1), order(2, "grace \"é\"", 3)];
        Batch::new(InstallId([9; 16]), BatchId([8; 16]), 42, orders).unwrap()
    }

    #[test]
    fn the_text_of_a_batch_is_the_golden_file_and_is_read_for_ever() {
        let golden = include_str!("../golden/batch.v1.json").trim_end();
        assert_eq!(batch().to_json(), golden);
        assert_eq!(Batch::from_json(golden.as_bytes()).unwrap(), batch());
    }

    #[test]
    fn a_batch_has_orders_of_one_round() {
        let mut orders = batch().orders().to_vec();
        orders[0].ticket.0[3] = 8;
        let made = Batch::new(InstallId([9; 16]), BatchId([8; 16]), 1, orders);
        assert!(matches!(made, Err(NotABatch::Mixed)));
        let made = Batch::new(InstallId([9; 16]), BatchId([8; 16]), 1, vec![]);
        assert!(matches!(made, Err(NotABatch::Empty)));
    }

    #[test]
    fn a_message_is_a_batch_or_a_fence() {
        let fence =
            Fence { install: InstallId([9; 16]), round: RoundId(7), incarnation: 2, partition: 3 };
        for message in [Message::Batch(Arc::new(batch())), Message::Fence(fence)] {
            let text = message.to_json();
            assert_eq!(Message::from_json(text.as_bytes()).unwrap(), message);
            assert_eq!(message.install(), InstallId([9; 16]));
        }
        assert!(Message::from_json(b"{}").is_err());
        assert!(Batch::from_json(fence.to_json().as_bytes()).is_err());
    }

    #[test]
    fn an_unknown_version_or_a_torn_text_is_refused() {
        let later = batch().to_json().replace("batch.v1", "batch.v2");
        assert!(Batch::from_json(later.as_bytes()).is_err());
        let text = batch().to_json();
        for end in 0..text.len() {
            assert!(Batch::from_json(&text.as_bytes()[..end]).is_err());
        }
    }
}
