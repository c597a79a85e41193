//! Orders that failed on their own: the ladder of tries, parking, and what an operator asks for.

use std::time::Duration;

use sale::id::{BuyerId, TicketId};
use sale::order::OrderV1;
use sale::status::{Reason, Status};
use sale::time::Timestamp;
use sale::units::Units;
use sqlx::QueryBuilder;

use super::fault::{Fault, readable};
use super::{ROWS_A_STATEMENT, SqliteLedger};
use crate::ledger::{DeadlineFrom, RETRIES_AFTER, Retry, SetAside};

const SELECT: &str = "SELECT a.ticket, a.buyer, a.units, a.granted_at, a.incarnation, a.attempts, \
    a.retry_at, a.error, a.reject, r.answer_within \
    FROM aside a LEFT JOIN rounds r ON r.round = a.round ";

/// Waiting before a rejection is tried again that did not succeed; it is tried for ever.
const REJECTION_AGAIN: Duration = Duration::from_secs(30);

/// The characters kept of what the engine said.
const LONGEST_ERROR: usize = 500;

impl SqliteLedger {
    pub(in crate::ledger) async fn set_aside(
        &self,
        failed: &[(OrderV1, String)],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let retry_at = now.plus(RETRIES_AFTER[0]).millis();
        let mut tx = self.write().await?;
        for part in failed.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::new(
                "INSERT INTO aside (ticket, round, buyer, units, granted_at, incarnation, \
                 attempts, retry_at, error) ",
            );
            query.push_values(part, |mut row, (order, error)| {
                row.push_bind(&order.ticket.0[..])
                    .push_bind(order.ticket.round().0)
                    .push_bind(order.buyer.as_str())
                    .push_bind(order.units.get())
                    .push_bind(order.granted_at.millis())
                    .push_bind(order.incarnation)
                    .push_bind(1)
                    .push_bind(retry_at)
                    .push_bind(shortened(error));
            });
            query.push(" ON CONFLICT (ticket) DO NOTHING");
            query.build().persistent(false).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::ledger) async fn take_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Retry>, Fault> {
        let mut tx = self.write().await?;
        let mut query = QueryBuilder::new(SELECT);
        query
            .push("WHERE a.retry_at <= ")
            .push_bind(now.millis())
            .push(" OR (a.reject IS NULL AND r.answer_within < ")
            .push_bind(now.millis())
            .push(" - max(a.granted_at, ")
            .push_bind(deadline.reachable_since.millis())
            .push(")) ORDER BY coalesce(a.retry_at, a.granted_at) LIMIT ")
            .push_bind(most);
        let due: Vec<AsideRow> = query.build_query_as().fetch_all(&mut *tx).await?;
        let mut retries = Vec::with_capacity(due.len());
        for row in due {
            let attempts = row.attempts.saturating_add(1);
            let (order, reject) = (row.order()?, row.reason(deadline, now)?);
            let wait = match reject {
                Some(_) => Some(REJECTION_AGAIN),
                None => usize::try_from(row.attempts)
                    .ok()
                    .and_then(|tries| RETRIES_AFTER.get(tries).copied()),
            };
            sqlx::query("UPDATE aside SET attempts = ?, retry_at = ?, reject = ? WHERE ticket = ?")
                .bind(attempts)
                .bind(wait.map(|wait| now.plus(wait).millis()))
                .bind(reject.map(Reason::name))
                .bind(&order.ticket.0[..])
                .execute(&mut *tx)
                .await?;
            retries.push(Retry { order, reject });
        }
        tx.commit().await?;
        Ok(retries)
    }

    pub(in crate::ledger) async fn note_failure(
        &self,
        ticket: TicketId,
        error: &str,
    ) -> Result<(), Fault> {
        sqlx::query("UPDATE aside SET error = ? WHERE ticket = ?")
            .bind(shortened(error))
            .bind(&ticket.0[..])
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    pub(in crate::ledger) async fn aside(
        &self,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, Fault> {
        let after = after.map_or(Vec::new(), |after| after.0.to_vec());
        let mut query = QueryBuilder::new(SELECT);
        query.push("WHERE a.ticket > ").push_bind(after);
        query.push(" ORDER BY a.ticket LIMIT ").push_bind(most);
        let rows: Vec<AsideRow> = query.build_query_as().fetch_all(&self.readers).await?;
        rows.into_iter().map(AsideRow::set_aside).collect()
    }

    pub(in crate::ledger) async fn release(
        &self,
        ticket: TicketId,
        reject: bool,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let found =
            sqlx::query("UPDATE aside SET attempts = 0, retry_at = ?, reject = ? WHERE ticket = ?")
                .bind(now.millis())
                .bind(reject.then(|| Reason::Unprocessable.name()))
                .bind(&ticket.0[..])
                .execute(&self.writer)
                .await?;
        Ok(found.rows_affected() == 1)
    }
}

fn shortened(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}

#[derive(sqlx::FromRow)]
struct AsideRow {
    ticket: Vec<u8>,
    buyer: String,
    units: u8,
    granted_at: i64,
    incarnation: u32,
    attempts: u32,
    retry_at: Option<i64>,
    error: String,
    reject: Option<String>,
    answer_within: Option<u64>,
}

impl AsideRow {
    fn order(&self) -> Result<OrderV1, Fault> {
        Ok(OrderV1 {
            ticket: TicketId(readable("aside", self.ticket.as_slice().try_into())?),
            buyer: readable("aside", BuyerId::new(&self.buyer))?,
            units: readable("aside", Units::new(self.units.into()))?,
            granted_at: readable("aside", Timestamp::from_millis(self.granted_at))?,
            incarnation: self.incarnation,
        })
    }

    /// Why it is to be rejected, if it is. An order whose round is not known has no deadline.
    fn reason(&self, deadline: &DeadlineFrom, now: Timestamp) -> Result<Option<Reason>, Fault> {
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

    fn set_aside(self) -> Result<SetAside, Fault> {
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
