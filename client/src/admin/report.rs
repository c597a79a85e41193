//! What the admin API takes and tells.

use sale::id::{BuyerId, RoundId, SaleId, TicketId};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Serialize};

use crate::sale::Stage;
use crate::ticket::Seen;

/// A sale, before it is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewSale {
    /// The merchant's id for it.
    pub id: SaleId,
    /// What buyers read: 1 to 200 characters.
    pub name: String,
    /// Units for all buyers, at least 1.
    pub stock: u32,
    /// Units for one buyer.
    pub limit: Units,
    /// When it opens.
    pub opens_at: Timestamp,
    /// When it closes.
    pub closes_at: Timestamp,
}

/// A sale as its merchant sees it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Its id.
    pub id: SaleId,
    /// What buyers read.
    pub name: String,
    /// The present round.
    pub round: RoundId,
    /// Units for all buyers.
    pub stock: u32,
    /// Units for one buyer.
    pub limit: Units,
    /// When it opens.
    pub opens_at: Timestamp,
    /// When it closes.
    pub closes_at: Timestamp,
    /// Whether it was closed by hand.
    pub closed: bool,
    /// Where it stands.
    pub state: Stage,
    /// Units that can be claimed, by the gate; none where it does not say.
    pub available: Option<i64>,
    /// Units of tickets that are not final; none where the gate does not say.
    pub held: Option<u64>,
    /// Units of confirmed tickets.
    pub sold: u32,
    /// Rejected tickets.
    pub rejected: u64,
}

/// What a change of stock came to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Applied {
    /// The sale after it.
    #[serde(flatten)]
    pub report: Report,
    /// The units that were added, or taken back if negative.
    pub applied: i32,
}

/// A ticket and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The ticket.
    pub ticket: Seen,
    /// Whose.
    pub buyer: BuyerId,
}

/// A round, gate beside ledger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Round {
    /// The sale.
    pub sale: SaleId,
    /// The round.
    pub round: RoundId,
    /// Counts the rebuilds of its gate, from 1.
    pub incarnation: u32,
    /// Where its gate stands.
    pub state: Standing,
    /// The ledger's figures.
    pub ledger: InLedger,
    /// The gate's figures; none where it does not say.
    pub gate: Option<InGate>,
    /// Orders that could not be processed.
    pub set_aside: u64,
    /// Whether the two agree; none while orders are on their way.
    pub agree: Option<bool>,
}

/// Where the gate of a round stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Standing {
    /// It grants.
    Live,
    /// It is rebuilt.
    Recovering,
    /// It is new, and not loaded yet.
    NotLoaded,
    /// A state that this client does not know.
    Other(String),
}

impl From<String> for Standing {
    fn from(name: String) -> Self {
        match name.as_str() {
            "live" => Self::Live,
            "recovering" => Self::Recovering,
            "not_loaded" => Self::NotLoaded,
            _ => Self::Other(name),
        }
    }
}

/// What the ledger has of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct InLedger {
    /// Units for all buyers.
    pub stock: u32,
    /// Units that are not sold.
    pub available: u32,
    /// Units of confirmed tickets.
    pub sold: u32,
    /// Rejected tickets.
    pub rejected: u64,
}

/// What the gate has of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct InGate {
    /// Units that can be claimed; below zero is a debt.
    pub available: i64,
    /// Units of tickets that are not final.
    pub held: u64,
    /// Units of confirmed tickets.
    pub sold: u64,
    /// Batches of orders that wait for a verdict.
    pub undecided: u64,
    /// Counts the gate's writes.
    pub sequence: u64,
}

/// An order that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Parked {
    /// Its ticket.
    pub ticket: TicketId,
    /// Its sale, if its round is a present one.
    pub sale: Option<SaleId>,
    /// Whose.
    pub buyer: BuyerId,
    /// How much.
    pub units: Units,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; none when it waits for an operator.
    pub retry_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub error: String,
    /// Whether it is to be rejected.
    pub reject: bool,
}
