//! Verdicts: one transaction looks, decides in memory, and writes.

use std::collections::BTreeSet;

use sale::id::RoundId;
use sale::order::OrderV1;
use sale::status::Reason;
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::fault::Fault;
use super::{ROWS_A_STATEMENT, SqliteLedger, recovering, tickets};
use crate::ledger::rows::{buyer, push_list};
use crate::ledger::sitting::{Holdings, OpenRound, Sitting, Tally};
use crate::ledger::{DeadlineFrom, Decision, LedgerError, Reached};

impl SqliteLedger {
    pub(in crate::ledger) async fn decide(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Fault> {
        let mut tx = self.write().await?;
        let holdings = holdings(&mut tx, orders).await?;
        let mut sitting = sit(&mut tx, orders, holdings, reached, deadline, now).await?;
        let hear = |order| sitting.hear(order, None);
        let decisions = orders.iter().map(hear).collect::<Result<_, LedgerError>>()?;
        write(&mut tx, &sitting, orders).await?;
        tx.commit().await?;
        sitting.close();
        Ok(decisions)
    }

    pub(in crate::ledger) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, Fault> {
        let mut tx = self.write().await?;
        let orders = std::slice::from_ref(order);
        let deadline = DeadlineFrom { reachable_since: now };
        let mut sitting =
            sit(&mut tx, orders, Holdings::default(), &Reached::default(), &deadline, now).await?;
        let decision = sitting.hear(order, Some(reason))?;
        write(&mut tx, &sitting, orders).await?;
        tx.commit().await?;
        sitting.close();
        Ok(decision)
    }
}

async fn sit<'a>(
    tx: &mut Transaction<'_, Sqlite>,
    orders: &'a [OrderV1],
    holdings: Holdings,
    reached: &Reached,
    deadline: &DeadlineFrom,
    now: Timestamp,
) -> Result<Sitting<'a>, Fault> {
    let standing = tickets::standing(tx, orders.iter().map(|order| &order.ticket)).await?;
    let ids: BTreeSet<RoundId> = orders.iter().map(|order| order.ticket.round()).collect();
    let ids: Vec<RoundId> = ids.into_iter().collect();
    let mut rounds = Vec::new();
    for part in ids.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(OpenRound::SELECT);
        query.push("round IN ");
        push_list(&mut query, part.iter().map(|round| round.0));
        let found: Vec<OpenRound> =
            query.build_query_as().persistent(false).fetch_all(&mut **tx).await?;
        rounds.extend(found);
    }
    Ok(Sitting::open(rounds, standing, holdings, reached, deadline, now)?)
}

/// Writes what was decided. Every order stands now, so none of them is set aside any more.
async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    sitting: &Sitting<'_>,
    orders: &[OrderV1],
) -> Result<(), Fault> {
    insert_orders(tx, &sitting.decided).await?;
    insert_holdings(tx, &sitting.taken).await?;
    for (id, tally) in &sitting.rounds {
        take(tx, *id, tally).await?;
        if tally.recovers {
            recovering::recover(tx, *id, tally.incarnation).await?;
        }
    }
    for part in orders.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("DELETE FROM aside WHERE ticket IN ");
        push_list(&mut query, part.iter().map(|order| &order.ticket.0[..]));
        query.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn holdings(tx: &mut Transaction<'_, Sqlite>, orders: &[OrderV1]) -> Result<Holdings, Fault> {
    let mut holdings = Holdings::default();
    for part in orders.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("WITH asked (round, buyer) AS (");
        query.push_values(part, |mut row, order| {
            row.push_bind(order.ticket.round().0).push_bind(order.buyer.as_str());
        });
        query.push(
            ") SELECT h.round, h.buyer, h.n FROM asked CROSS JOIN holdings h \
             ON h.round = asked.round AND h.buyer = asked.buyer",
        );
        let found: Vec<(u32, Vec<u8>, u8)> =
            query.build_query_as().persistent(false).fetch_all(&mut **tx).await?;
        for (round, by, n) in found {
            holdings.add(RoundId(round), buyer("holdings", by)?, n);
        }
    }
    Ok(holdings)
}

async fn insert_orders(
    tx: &mut Transaction<'_, Sqlite>,
    decided: &[(&OrderV1, TicketState)],
) -> Result<(), Fault> {
    for part in decided.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(
            "INSERT INTO orders \
             (ticket, buyer, units, status, reason, version, granted_at, decided_at) ",
        );
        query.push_values(part, |mut row, (order, state)| {
            row.push_bind(&order.ticket.0[..])
                .push_bind(order.buyer.as_str())
                .push_bind(state.units.get())
                .push_bind(state.status.name())
                .push_bind(state.status.reason().map(Reason::name))
                .push_bind(state.version)
                .push_bind(state.granted_at.millis())
                .push_bind(state.decided_at.map(Timestamp::millis));
        });
        query.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn insert_holdings(
    tx: &mut Transaction<'_, Sqlite>,
    taken: &[(&OrderV1, u8)],
) -> Result<(), Fault> {
    for part in taken.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("INSERT INTO holdings (round, buyer, n, ticket) ");
        query.push_values(part, |mut row, (order, n)| {
            row.push_bind(order.ticket.round().0)
                .push_bind(order.buyer.as_str())
                .push_bind(*n)
                .push_bind(&order.ticket.0[..]);
        });
        query.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn take(tx: &mut Transaction<'_, Sqlite>, id: RoundId, tally: &Tally) -> Result<(), Fault> {
    if tally.is_unmoved() {
        return Ok(());
    }
    let taken = sqlx::query(
        "UPDATE rounds SET available = available - ?1, rejected = rejected + ?2, sequence = ?3 \
         WHERE round = ?4 AND available >= ?1",
    )
    .bind(tally.confirmed)
    .bind(tally.rejected)
    .bind(i64::try_from(tally.sequence).unwrap_or(i64::MAX))
    .bind(id.0)
    .execute(&mut **tx)
    .await?;
    if taken.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Fault::refused(format!("round {id} has no {} units left", tally.confirmed)))
    }
}
