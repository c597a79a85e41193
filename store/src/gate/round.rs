//! A round as it goes into a gate, and as a gate tells it.

use sale::id::{BuyerId, RoundId, Shard, TicketId};
use sale::order::OrderV1;
use sale::terms::Terms;
use sale::ticket::TicketState;
use sale::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A part of a round: what one call of the gate works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The round.
    pub round: RoundId,
    /// Its shard.
    pub shard: Shard,
}

impl Slot {
    /// Where a ticket lives.
    pub fn of(ticket: TicketId) -> Self {
        Self { round: ticket.round(), shard: ticket.shard() }
    }

    /// The only slot of a round that has one shard.
    pub fn first(round: RoundId) -> Self {
        Self { round, shard: Shard::FIRST }
    }
}

/// The ledger's present state of one ticket, to be taken into its buyer's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The ticket.
    pub ticket: TicketId,
    /// Whose record it belongs to.
    pub buyer: BuyerId,
    /// What the ledger says now, not what a message once said.
    #[serde(flatten)]
    pub state: TicketState,
}

impl Settlement {
    /// A ticket of which nothing but its order is known.
    pub fn pending(order: &OrderV1) -> Self {
        Self { ticket: order.ticket, buyer: order.buyer.clone(), state: order.pending() }
    }
}

/// A round as the ledger knows it, to be loaded into a gate that does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its terms.
    pub terms: Terms,
    /// Counts the rebuilds of this round's gate.
    pub incarnation: u32,
    /// Units that nobody holds.
    pub available: i64,
    /// Every ticket of the round, rejected ones included.
    pub tickets: Vec<Settlement>,
    /// Stock changes that `available` contains: their keys and the units applied.
    pub restocks: Vec<(String, i32)>,
}

impl Snapshot {
    /// Units that its tickets hold: as the ledger reads it, those of confirmed ones.
    pub fn sold(&self) -> u64 {
        self.tickets.iter().map(|found| u64::from(found.state.held())).sum()
    }

    /// Tickets that were rejected.
    pub fn rejected(&self) -> usize {
        self.tickets.iter().filter(|found| found.state.status.reason().is_some()).count()
    }
}

/// The counts of one slot. At every quiet moment stock = available + held + sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The terms it applies.
    pub terms: Terms,
    /// Units that nobody holds; below zero it is a debt that stops grants.
    pub available: i64,
    /// Units of pending tickets.
    pub held: u64,
    /// Units of confirmed tickets.
    pub sold: u64,
    /// Orders in the outbox.
    pub undecided: usize,
    /// The units of those orders.
    pub undecided_units: u64,
    /// When the oldest of those orders was granted.
    pub oldest: Option<Timestamp>,
    /// Counts the rebuilds of this round's gate.
    pub incarnation: u32,
    /// Counts the writes of this slot.
    pub sequence: u64,
    /// It has lost writes, or is not to be trusted any more: it grants nothing.
    pub frozen: bool,
}

impl Figures {
    /// Whether this gate may be replaced by that of a later incarnation: it is frozen and
    /// drained, and nothing was written since its sequence was this.
    pub(super) fn gives_way(&self, to: u32, over: Option<u64>) -> bool {
        let unmoved = over == Some(self.sequence);
        self.frozen && unmoved && self.undecided == 0 && self.incarnation < to
    }
}
