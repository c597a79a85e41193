//! The ticket as it came: read, and kept to the byte.

use std::fmt;
use std::sync::Arc;

use sale::id::{RoundId, SaleId, TicketId};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A ticket, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// The sale it belongs to.
    pub sale: SaleId,
    /// The round of the sale.
    pub round: RoundId,
    /// What was claimed.
    pub units: Units,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected: `sold_out`, `limit`, `unprocessable` or `deadline`.
    pub reason: Option<String>,
    /// Rises with each change, from 1.
    pub version: u32,
    /// Whether a buyer who waits for the result may stop waiting.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When it was granted, by the server's clock.
    pub granted_at: Timestamp,
    /// When the verdict was reached.
    pub decided_at: Option<Timestamp>,
}

/// Where a ticket stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Status {
    /// Granted, and not decided yet.
    Pending,
    /// The buyer has it.
    Confirmed,
    /// The buyer does not get it.
    Rejected,
    /// A stage that this client does not know.
    Other(String),
}

impl From<String> for Status {
    fn from(name: String) -> Self {
        match name.as_str() {
            "pending" => Self::Pending,
            "confirmed" => Self::Confirmed,
            "rejected" => Self::Rejected,
            _ => Self::Other(name),
        }
    }
}

/// A ticket with the very bytes that it came in. They are the same on every way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What they say.
    pub ticket: Ticket,
    /// The JSON object.
    pub bytes: Arc<str>,
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let ticket = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { ticket, bytes: raw.get().into() })
    }
}

/// A ticket that was granted, and the right to read it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Held {
    /// The ticket as the claim's answer had it.
    pub ticket: Seen,
    /// Opens the ticket for whoever holds it: keep it out of addresses and logs.
    #[serde(deserialize_with = "credentials")]
    pub token: String,
}

/// Reads a text that can be presented in a header.
pub(crate) fn credentials<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(serde::de::Error::custom("credentials are visible ASCII characters"))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("ticket", &self.ticket.ticket).finish_non_exhaustive()
    }
}

impl Held {
    /// The ticket's id.
    pub fn id(&self) -> TicketId {
        self.ticket.ticket.id
    }
}
