//! A ticket as somebody was shown it, read by the checker itself.

use std::borrow::Cow;
use std::sync::Arc;

use sale::id::TicketId;
use sale::status::Status;
use sale::time::Timestamp;
use serde::Deserialize;

use crate::history::Way;

/// What a ticket's text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    pub(super) id: TicketId,
    pub(super) sale: Cow<'a, str>,
    pub(super) units: u64,
    pub(super) status: Status,
    pub(super) version: u32,
    pub(super) granted_at: Timestamp,
    pub(super) decided_at: Option<Timestamp>,
}

/// A buyer was shown a ticket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// The event's number.
    pub(super) event: u64,
    /// When, and when he had asked.
    pub(super) at: u64,
    pub(super) asked: u64,
    /// On which way; none for the answer to a claim.
    pub(super) way: Option<Way>,
    pub(super) buyer: &'a Arc<str>,
    pub(super) text: &'a str,
    pub(super) shown: &'a Shown<'a>,
}

impl<'a> Shown<'a> {
    /// Reads a ticket's text; an error says why it is none.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text<'a> {
            id: TicketId,
            #[serde(borrow)]
            sale: Cow<'a, str>,
            units: u64,
            #[serde(borrow)]
            status: Cow<'a, str>,
            #[serde(borrow)]
            reason: Option<Cow<'a, str>>,
            version: u32,
            r#final: bool,
            granted_at: Timestamp,
            decided_at: Option<Timestamp>,
        }
        let text: Text<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let status = Status::from_names(&text.status, text.reason.as_deref())
            .map_err(|error| error.to_string())?;
        if status.is_final() != text.r#final {
            return Err(format!("it is {} and final: {}", status.name(), text.r#final));
        }
        let Text { id, sale, units, version, granted_at, decided_at, .. } = text;
        Ok(Self { id, sale, units, status, version, granted_at, decided_at })
    }
}

/// A status in words: `confirmed`, `rejected (sold_out)`.
pub(super) fn words(status: Status) -> String {
    match status.reason() {
        Some(reason) => format!("{} ({})", status.name(), reason.name()),
        None => status.name().to_owned(),
    }
}
