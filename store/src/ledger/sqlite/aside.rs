//! Orders that failed on their own: the ladder of tries, parking, and what an operator asks for.

use sale::id::TicketId;
use sale::order::OrderV1;
use sale::status::Reason;
use sale::time::Timestamp;
use sqlx::QueryBuilder;

use super::fault::Fault;
use super::{ROWS_A_STATEMENT, SqliteLedger};
use crate::ledger::ladder::{AsideRow, shortened};
use crate::ledger::{DeadlineFrom, LedgerError, RETRIES_AFTER, Retry, SetAside};

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
        let mut query = QueryBuilder::new(AsideRow::SELECT);
        query
            .push("a.retry_at <= ")
            .push_bind(now.millis())
            .push(" OR (a.reject IS NULL AND answer_within < ")
            .push_bind(now.millis())
            .push(" - max(a.granted_at, ")
            .push_bind(deadline.reachable_since.millis())
            .push(")) ORDER BY coalesce(a.retry_at, a.granted_at) LIMIT ")
            .push_bind(most);
        let due: Vec<AsideRow> = query.build_query_as().fetch_all(&mut *tx).await?;
        let mut retries = Vec::with_capacity(due.len());
        for row in due {
            let next = row.take(deadline, now)?;
            sqlx::query("UPDATE aside SET attempts = ?, retry_at = ?, reject = ? WHERE ticket = ?")
                .bind(next.attempts)
                .bind(next.retry_at.map(Timestamp::millis))
                .bind(next.retry.reject.map(Reason::name))
                .bind(&next.retry.order.ticket.0[..])
                .execute(&mut *tx)
                .await?;
            retries.push(next.retry);
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
        let mut query = QueryBuilder::new(AsideRow::SELECT);
        query.push("a.ticket > ").push_bind(after);
        query.push(" ORDER BY a.ticket LIMIT ").push_bind(most);
        let rows: Vec<AsideRow> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(AsideRow::set_aside).collect::<Result<_, LedgerError>>()?)
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
