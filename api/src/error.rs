//! Everything that this crate refuses, and what HTTP says of it, in one table.

use axum::response::{IntoResponse, Response};
use edge::buyer::BadJwt;
use edge::problem::{Kind, Problem};
use sale::id::TicketId;
use sale::time::Timestamp;
use sale::units::Units;
use serde::Serialize;
use store::gate::GateError;
use store::ledger::LedgerError;

use crate::batcher::Unanswered;

/// Why a request was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the body was refused")]
    Body(Box<Problem>),
    #[error("{name} {rule}")]
    Field { name: &'static str, rule: String },
    #[error("{0}")]
    Query(String),
    #[error("a buyer's JWT is needed as Authorization: Bearer")]
    NoBuyer,
    #[error("the buyer's JWT was refused: {0}")]
    BadBuyer(#[from] BadJwt),
    #[error("the admin key is needed as Authorization: Bearer")]
    NoAdmin,
    #[error("there is nothing under this address")]
    UnknownPath,
    #[error("there is no such sale")]
    UnknownSale,
    #[error("no order is set aside under this ticket")]
    NotSetAside,
    #[error("guests are not allowed here")]
    NoGuests,
    #[error("an Idempotency-Key is needed here: {0}")]
    KeyRequired(&'static str),
    #[error("the sale opens at {opens_at}")]
    NotOpen { opens_at: Timestamp, now: Timestamp },
    #[error("the sale is closed")]
    Closed,
    #[error("nothing is left")]
    SoldOut,
    #[error("only {0} left, fewer than asked for")]
    TooFewLeft(u32),
    #[error("you hold as much as one buyer may have")]
    LimitReached(Vec<Held>),
    #[error("this Idempotency-Key was used for {0} units")]
    UnitsDiffer(Units),
    #[error("too many requests are waiting; nothing was claimed, ask again")]
    Busy,
    #[error("the orders of this sale are far behind; nothing was claimed, ask again")]
    OutboxFull,
    #[error("this server is going down; nothing was claimed, ask again")]
    Ending,
    #[error("{0}")]
    Conflict(&'static str),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A ticket that a buyer at his limit holds already.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    pub(crate) ticket: TicketId,
    pub(crate) token: String,
}

impl Refusal {
    /// A field of the request that breaks its rule.
    pub(crate) fn field(name: &'static str, rule: impl ToString) -> Self {
        Self::Field { name, rule: rule.to_string() }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Body(Box::new(problem))
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::QueueFull => Self::Busy,
            Unanswered::Ending => Self::Ending,
            Unanswered::Gate(error) => Self::Gate(error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = |kind| Problem::new(kind, refusal.to_string());
        match &refusal {
            Refusal::Body(_) | Refusal::LimitReached(_) => {}
            
        }
        match refusal {
            Refusal::Body(problem) => *problem,
            _ => problem(Kind::Busy),
        }
    }
}
