//! Orders that failed on their own: the ladder of tries, parking, and what an operator asks for,
//! as their rows say on every engine.

use std::time::Duration;

use sale::id::TicketId;
use sale::order::OrderV1;
use sale::status::{Reason, Status};
use sale::time::Timestamp;
use sale::units::Units;

use super::rows::{buyer, readable};
use super::{DeadlineFrom, LedgerError, RETRIES_AFTER, Retry, SetAside};

/// Waiting before a rejection is tried again that did not succeed; it is tried for ever.
const REJECTION_AGAIN: Duration = Duration::from_secs(30);

/// The characters kept of what the engine said.
const LONGEST_ERROR: usize = 500;

/// What is kept of what the engine said.
pub(super) fn shortened(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}

/// An order that is set aside.
#[derive(sqlx::FromRow)]
pub(super) struct AsideRow {
    ticket: Vec<u8>,
    buyer: Vec<u8>,
    units: u8,
    granted_at: i64,
    incarnation: u32,
    attempts: u32,
    retry_at: Option<i64>,
    error: String,
    reject: Option<String>,
    answer_within: Option<u64>,
}

/// A try that is taken up, and what the row says before it begins.
pub(super) struct Try {
    pub(super) retry: Retry,
    pub(super) attempts: u32,
    /// `None` when this is the last.
    pub(super) retry_at: Option<Timestamp>,
}

impl AsideRow {
    /// The statement that reads it, up to its condition. The round is looked up beside it, so
    /// that whoever locks the row does not lock the round.
    pub(super) const SELECT: &str = "SELECT a.ticket, a.buyer, a.units, a.granted_at, \
        a.incarnation, a.attempts, a.retry_at, a.error, a.reject, \
        (SELECT r.answer_within FROM rounds r WHERE r.round = a.round) AS answer_within \
        FROM aside a WHERE ";

    /// The next try.
    pub(super) fn take(self, deadline: &DeadlineFrom, now: Timestamp) -> Result<Try, LedgerError> {
        let (order, reject) = (self.order()?, self.reason(deadline, now)?);
        let wait = match reject {
            Some(_) => Some(REJECTION_AGAIN),
            None => usize::try_from(self.attempts)
                .ok()
                .and_then(|tries| RETRIES_AFTER.get(tries).copied()),
        };
        Ok(Try {
            retry: Retry { order, reject },
            attempts: self.attempts.saturating_add(1),
            retry_at: wait.map(|wait| now.plus(wait)),
        })
    }

    fn order(&self) -> Result<OrderV1, LedgerError> {
        Ok(OrderV1 {
            ticket: TicketId(readable("aside", self.ticket.as_slice().try_into())?),
            buyer: buyer("aside", self.buyer.clone())?,
            units: readable("aside", Units::new(self.units.into()))?,
            granted_at: readable("aside", Timestamp::from_millis(self.granted_at))?,
            incarnation: self.incarnation,
        })
    }

    /// Why it is to be rejected, if it is. An order whose round is not known has no deadline.
    fn reason(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Option<Reason>, LedgerError> {
        if let Some(reason) = &self.reject {
            let status = Status::from_names("rejected", Some(reason));
            return Ok(readable("aside", status)?.reason());
        }
        let granted_at = readable("aside", Timestamp::from_millis(self.granted_at))?;
        let passed = self.answer_within.is_some_and(|answer_within| {
            deadline.of(Duration::from_millis(answer_within)).has_passed(granted_at, now)
        });
        Ok(passed.then_some(Reason::Deadline))
    }

    pub(super) fn set_aside(self) -> Result<SetAside, LedgerError> {
        let retry_at = self.retry_at.map(Timestamp::from_millis).transpose();
        Ok(SetAside {
            order: self.order()?,
            attempts: self.attempts,
            retry_at: readable("aside", retry_at)?,
            reject: self.reject.as_deref() == Some(Reason::Unprocessable.name()),
            error: self.error,
        })
    }
}
