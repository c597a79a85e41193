//! Verdicts: one transaction locks, looks, decides in memory, and writes.

use std::collections::{BTreeMap, BTreeSet};

use sale::id::{BuyerId, RoundId};
use sale::order::OrderV1;
use sale::status::Reason;
use sale::ticket::TicketState;
use sale::time::Timestamp;
use sqlx::{MySqlConnection, QueryBuilder};

use super::fault::Fault;
use super::{MySqlLedger, ROWS_A_STATEMENT, is_kept, recovering, tickets, tried};
use crate::ledger::rows::{buyer, push_list};
use crate::ledger::sitting::{Holdings, OpenRound, Sitting, Tally};
use crate::ledger::{DeadlineFrom, Decision, LedgerError, Reached};

impl MySqlLedger {
    pub(in crate::ledger) async fn decide(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let rounds = lock(&mut tx, orders).await?;
            let holdings = holdings(&mut tx, orders).await?;
            let standing =
                tickets::standing(&mut tx, orders.iter().map(|order| &order.ticket)).await?;
            let mut sitting = Sitting::open(rounds, standing, holdings, reached, deadline, now)?;
            let hear = |order| sitting.hear(order, None);
            let decisions = orders.iter().map(hear).collect::<Result<_, LedgerError>>()?;
            write(&mut tx, &sitting, orders).await?;
            tx.commit().await?;
            sitting.close();
            Ok(decisions)
        })
        .await
    }

    pub(in crate::ledger) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Decision, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let orders = std::slice::from_ref(order);
            let rounds = lock(&mut tx, orders).await?;
            let standing = tickets::standing(&mut tx, [&order.ticket].into_iter()).await?;
            let deadline = DeadlineFrom { reachable_since: now };
            let mut sitting = Sitting::open(
                rounds,
                standing,
                Holdings::default(),
                &Reached::default(),
                &deadline,
                now,
            )?;
            let decision = sitting.hear(order, Some(reason))?;
            write(&mut tx, &sitting, orders).await?;
            tx.commit().await?;
            sitting.close();
            Ok(decision)
        })
        .await
    }
}

/// Locks the rows of the rounds. One after the other: a statement for all of them may scan a
/// small table, and wait for rounds that nobody asked for, in an order of its own.
async fn lock(tx: &mut MySqlConnection, orders: &[OrderV1]) -> Result<Vec<OpenRound>, Fault> {
    let ids: BTreeSet<RoundId> = orders.iter().map(|order| order.ticket.round()).collect();
    let mut rounds = Vec::with_capacity(ids.len());
    for id in ids {
        let mut query = QueryBuilder::new(OpenRound::SELECT);
        query.push("round = ").push_bind(id.0).push(" FOR UPDATE");
        let found: Option<OpenRound> = query.build_query_as().fetch_optional(&mut *tx).await?;
        rounds.extend(found);
    }
    Ok(rounds)
}

/// What the buyers hold. Round by round: not every server uses the index for a list of pairs.
async fn holdings(tx: &mut MySqlConnection, orders: &[OrderV1]) -> Result<Holdings, Fault> {
    let mut asked = BTreeMap::<RoundId, BTreeSet<&BuyerId>>::new();
    for order in orders {
        asked.entry(order.ticket.round()).or_default().insert(&order.buyer);
    }
    let mut holdings = Holdings::default();
    for (round, buyers) in asked {
        let buyers: Vec<&BuyerId> = buyers.into_iter().collect();
        for part in buyers.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::new("SELECT buyer, n FROM holdings WHERE round = ");
            query.push_bind(round.0).push(" AND buyer IN ");
            push_list(&mut query, part.iter().map(|buyer| buyer.as_str().as_bytes()));
            let found: Vec<(Vec<u8>, u8)> =
                query.build_query_as().persistent(is_kept(part.len())).fetch_all(&mut *tx).await?;
            for (by, n) in found {
                holdings.add(round, buyer("holdings", by)?, n);
            }
        }
    }
    Ok(holdings)
}

/// Writes what was decided. Every order stands now, so none of them is set aside any more.
async fn write(
    tx: &mut MySqlConnection,
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
        query.build().persistent(is_kept(part.len())).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn insert_orders(
    tx: &mut MySqlConnection,
    decided: &[(&OrderV1, TicketState)],
) -> Result<(), Fault> {
    for part in decided.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(
            "INSERT INTO orders \
             (ticket, buyer, units, status, reason, version, granted_at, decided_at) ",
        );
        query.push_values(part, |mut row, (order, state)| {
            row.push_bind(&order.ticket.0[..])
                .push_bind(order.buyer.as_str().as_bytes())
                .push_bind(state.units.get())
                .push_bind(state.status.name())
                .push_bind(state.status.reason().map(Reason::name))
                .push_bind(state.version)
                .push_bind(state.granted_at.millis())
                .push_bind(state.decided_at.map(Timestamp::millis));
        });
        query.build().persistent(is_kept(part.len())).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn insert_holdings(tx: &mut MySqlConnection, taken: &[(&OrderV1, u8)]) -> Result<(), Fault> {
    for part in taken.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("INSERT INTO holdings (round, buyer, n, ticket) ");
        query.push_values(part, |mut row, (order, n)| {
            row.push_bind(order.ticket.round().0)
                .push_bind(order.buyer.as_str().as_bytes())
                .push_bind(*n)
                .push_bind(&order.ticket.0[..]);
        });
        query.build().persistent(is_kept(part.len())).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn take(tx: &mut MySqlConnection, id: RoundId, tally: &Tally) -> Result<(), Fault> {
    if tally.is_unmoved() {
        return Ok(());
    }
    let taken = sqlx::query(
        "UPDATE rounds SET available = available - ?, rejected = rejected + ?, sequence = ? \
         WHERE round = ? AND available >= ?",
    )
    .bind(tally.confirmed)
    .bind(tally.rejected)
    .bind(tally.sequence)
    .bind(id.0)
    .bind(tally.confirmed)
    .execute(&mut *tx)
    .await?;
    if taken.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Fault::Refused(format!("round {id} has no {} units left", tally.confirmed)))
    }
}
