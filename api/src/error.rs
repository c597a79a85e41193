//! Everything that this crate refuses, and what HTTP says of it, in one table.

use axum::response::{IntoResponse, Response};
use edge::buyer::BadJwt;
use edge::problem::{Kind, Problem};
use sale::ticket::Ticket;
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
    #[error("`{name}` {rule}")]
    Field { name: &'static str, rule: String },
    #[error("{0}")]
    Invalid(String),
    #[error("a buyer's JWT is needed as Authorization: Bearer")]
    NoBuyer,
    #[error("the buyer's JWT was refused: {0}")]
    BadBuyer(#[from] BadJwt),
    #[error("the admin key is needed as Authorization: Bearer")]
    NoAdmin,
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
    pub(crate) ticket: Ticket,
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
        let detail = refusal.to_string();
        match refusal {
            Refusal::Body(problem) => *problem,
            Refusal::Field { .. } | Refusal::Invalid(_) => Self::new(Kind::InvalidRequest, detail),
            Refusal::NoBuyer | Refusal::BadBuyer(_) | Refusal::NoAdmin => {
                Self::new(Kind::Unauthenticated, detail)
            }
            Refusal::UnknownSale | Refusal::NotSetAside | Refusal::NoGuests => {
                Self::new(Kind::NotFound, detail)
            }
            Refusal::KeyRequired(_) => Self::new(Kind::RequestIdRequired, detail),
            Refusal::NotOpen { opens_at, now } => {
                Self::new(Kind::NotOpen, detail).with("opens_at", opens_at).with("now", now)
            }
            Refusal::Closed => Self::new(Kind::Closed, detail),
            Refusal::SoldOut => Self::new(Kind::SoldOut, detail),
            Refusal::TooFewLeft(left) => Self::new(Kind::TooFewLeft, detail).with("left", left),
            Refusal::LimitReached(held) => Self::new(Kind::LimitReached, detail).with("held", held),
            Refusal::UnitsDiffer(_) => Self::new(Kind::UnitsDiffer, detail),
            Refusal::Busy | Refusal::OutboxFull => Self::new(Kind::Busy, detail),
            Refusal::Ending => Self::new(Kind::Unavailable, detail),
            Refusal::Conflict(_) => Self::new(Kind::Conflict, detail),
            Refusal::Gate(error) => of_gate(&error),
            Refusal::Ledger(error) => of_ledger(&error),
        }
    }
}

// What an engine says of itself is for the operator; callers learn what to do.

fn of_gate(error: &GateError) -> Problem {
    match error {
        GateError::NotWarm(_) | GateError::Recovering(_) => Problem::new(
            Kind::Recovering,
            "the sale is being loaded, or put in order; nothing was granted, ask again",
        ),
        GateError::Unavailable(_) => {
            Problem::new(Kind::Unavailable, "no claims are granted at present; ask again")
        }
        GateError::NotKnown => Problem::new(
            Kind::NotKnown,
            "no answer came in time; ask again with the same Idempotency-Key to find out",
        ),
    }
}

fn of_ledger(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Unavailable(_) => tracing::warn!(%error, "a request was not answered"),
        LedgerError::Refused(_) => tracing::error!(%error, "a request was not answered"),
    }
    Problem::new(
        Kind::Unavailable,
        "what this needs is stored away and cannot be reached; ask again",
    )
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
