//! Orders that failed on their own: the ladder of tries, parking, and what an operator asks for.

use sale::id::TicketId;
use sale::order::OrderV1;
use sale::status::Reason;
use sale::time::Timestamp;
use sqlx::{MySql, MySqlConnection, QueryBuilder};

use super::fault::Fault;
use super::{MySqlLedger, ROWS_A_STATEMENT, tried};
use crate::ledger::ladder::{AsideRow, Try, shortened};
use crate::ledger::{DeadlineFrom, LedgerError, RETRIES_AFTER, Retry, SetAside};

impl MySqlLedger {
    pub(in crate::ledger) async fn set_aside(
        &self,
        failed: &[(OrderV1, String)],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let retry_at = now.plus(RETRIES_AFTER[0]).millis();
        tried(async || {
            let mut tx = self.write().await?;
            for part in failed.chunks(ROWS_A_STATEMENT) {
                let mut query = QueryBuilder::new(
                    "INSERT INTO aside (ticket, round, buyer, units, granted_at, incarnation, \
                     attempts, retry_at, error) ",
                );
                query.push_values(part, |mut row, (order, error)| {
                    row.push_bind(&order.ticket.0[..])
                        .push_bind(order.ticket.round().0)
                        .push_bind(order.buyer.as_str().as_bytes())
                        .push_bind(order.units.get())
                        .push_bind(order.granted_at.millis())
                        .push_bind(order.incarnation)
                        .push_bind(1)
                        .push_bind(retry_at)
                        .push_bind(shortened(error));
                });
                query.push(" ON DUPLICATE KEY UPDATE attempts = attempts");
                query.build().persistent(false).execute(&mut *tx).await?;
            }
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn take_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Retry>, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let mut taken = Vec::new();
            for search in [due, passed] {
                let left = most.saturating_sub(u32::try_from(taken.len()).unwrap_or(most));
                let rows: Vec<AsideRow> =
                    search(deadline, now, left).build_query_as().fetch_all(&mut *tx).await?;
                for row in rows {
                    let next = row.take(deadline, now)?;
                    write_down(&mut tx, &next).await?;
                    taken.push(next.retry);
                }
            }
            tx.commit().await?;
            Ok(taken)
        })
        .await
    }

    pub(in crate::ledger) async fn note_failure(
        &self,
        ticket: TicketId,
        error: &str,
    ) -> Result<(), Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            sqlx::query("UPDATE aside SET error = ? WHERE ticket = ?")
                .bind(shortened(error))
                .bind(&ticket.0[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn aside(
        &self,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<SetAside>, Fault> {
        let after = after.map_or(Vec::new(), |after| after.0.to_vec());
        let mut connection = self.reading().await?;
        let mut query = QueryBuilder::new(AsideRow::SELECT);
        query.push("a.ticket > ").push_bind(after);
        query.push(" ORDER BY a.ticket LIMIT ").push_bind(most);
        let rows: Vec<AsideRow> = query.build_query_as().fetch_all(&mut *connection).await?;
        connection.done();
        Ok(rows.into_iter().map(AsideRow::set_aside).collect::<Result<_, LedgerError>>()?)
    }

    pub(in crate::ledger) async fn release(
        &self,
        ticket: TicketId,
        reject: bool,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            // Rows found, not rows changed: sqlx asks the server to count so.
            let found = sqlx::query(
                "UPDATE aside SET attempts = 0, retry_at = ?, reject = ? WHERE ticket = ?",
            )
            .bind(now.millis())
            .bind(reject.then(|| Reason::Unprocessable.name()))
            .bind(&ticket.0[..])
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(found.rows_affected() == 1)
        })
        .await
    }
}

/// Those whose next try is due. What another worker has taken up is his.
fn due<'a>(_: &DeadlineFrom, now: Timestamp, most: u32) -> QueryBuilder<'a, MySql> {
    let mut query = QueryBuilder::new(AsideRow::SELECT);
    query.push("a.retry_at <= ").push_bind(now.millis());
    query.push(" ORDER BY a.retry_at LIMIT ").push_bind(most).push(" FOR UPDATE SKIP LOCKED");
    query
}

/// Those whose deadline has passed.
fn passed<'a>(deadline: &DeadlineFrom, now: Timestamp, most: u32) -> QueryBuilder<'a, MySql> {
    let mut query = QueryBuilder::new(AsideRow::SELECT);
    query
        .push("a.reject IS NULL AND a.granted_at < ")
        .push_bind(now.millis())
        .push(" AND (SELECT r.answer_within FROM rounds r WHERE r.round = a.round) < ")
        .push_bind(now.millis())
        .push(" - GREATEST(a.granted_at, ")
        .push_bind(deadline.reachable_since.millis())
        .push(") ORDER BY a.granted_at LIMIT ")
        .push_bind(most)
        .push(" FOR UPDATE SKIP LOCKED");
    query
}

async fn write_down(tx: &mut MySqlConnection, next: &Try) -> Result<(), Fault> {
    sqlx::query("UPDATE aside SET attempts = ?, retry_at = ?, reject = ? WHERE ticket = ?")
        .bind(next.attempts)
        .bind(next.retry_at.map(Timestamp::millis))
        .bind(next.retry.reject.map(Reason::name))
        .bind(&next.retry.order.ticket.0[..])
        .execute(&mut *tx)
        .await?;
    Ok(())
}
