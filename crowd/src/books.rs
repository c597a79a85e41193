//! What the server has written in the end: sales, tickets, and gate beside ledger.

use serde::{Deserialize, Serialize};

/// All of it, as the admin API told it when everything was quiet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The sales that the crowd went to.
    pub sales: Vec<Sale>,
    /// What the server holds to be wrong itself, and what is left where nothing should be.
    pub left: Vec<String>,
}

/// A sale and all its tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Its id.
    pub id: String,
    /// When it opens, in ms since 1970.
    pub opens_at: i64,
    /// When it closes, if it does.
    pub closes_at: Option<i64>,
    /// The most units of one buyer.
    pub limit: u64,
    /// The gate's figures.
    pub gate: Figures,
    /// The ledger's figures.
    pub ledger: Figures,
    /// Counts the rebuilds of its gate, from 1: above 1 it has lost writes.
    pub incarnation: u32,
    /// Every ticket that the ledger has.
    pub tickets: Vec<Entry>,
}

/// Units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Of the sale.
    pub stock: i64,
    /// That can be claimed.
    pub available: i64,
    /// Of tickets that are not final.
    pub held: i64,
    /// Of confirmed tickets.
    pub sold: i64,
}

/// A ticket and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The buyer's id.
    pub buyer: String,
    /// The ticket, as bytes.
    pub ticket: String,
}
