//! What is sold, when, and to whom.

use std::fmt;

use sale::id::{BuyerId, RoundId, SaleId};
use sale::time::Timestamp;
use sale::units::Units;
use serde::Deserialize;

use crate::ticket::credentials;

/// A sale as buyers see it, up to a second old.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sale {
    /// Its id.
    pub id: SaleId,
    /// What buyers read. It is text, never markup.
    pub name: String,
    /// The present round.
    pub round: RoundId,
    /// When it opens, by the server's clock.
    pub opens_at: Timestamp,
    /// When it closes; none when it stays open.
    pub closes_at: Option<Timestamp>,
    /// Where it stands.
    pub state: Stage,
    /// The most units that one buyer may have.
    pub limit: Units,
    /// The server's clock when it answered.
    pub now: Timestamp,
}

/// Where a sale stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Stage {
    /// Not open yet.
    Upcoming,
    /// Claims are granted.
    Open,
    /// Open, with nothing left.
    SoldOut,
    /// Over.
    Closed,
    /// A stage that this client does not know.
    Other(String),
}

impl From<String> for Stage {
    fn from(name: String) -> Self {
        match name.as_str() {
            "upcoming" => Self::Upcoming,
            "open" => Self::Open,
            "sold_out" => Self::SoldOut,
            "closed" => Self::Closed,
            _ => Self::Other(name),
        }
    }
}

/// A buyer without a merchant's account.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Guest {
    /// Who he is.
    pub buyer: BuyerId,
    /// Says so to the server: keep it out of logs.
    #[serde(rename = "token", deserialize_with = "credentials")]
    pub jwt: String,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("buyer", &self.buyer).finish_non_exhaustive()
    }
}
