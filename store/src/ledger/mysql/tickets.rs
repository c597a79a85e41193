//! Decided tickets and the counts of their rounds, as they stand.

use std::collections::{BTreeSet, HashMap};

use sale::id::{RoundId, SaleId, TicketId};
use sqlx::{Executor as _, MySql, MySqlConnection, QueryBuilder};

use super::connection::Held;
use super::fault::Fault;
use super::{MySqlLedger, ROWS_A_STATEMENT, is_kept, restocks, sales, tried};
use crate::gate::{Settlement, Snapshot};
use crate::ledger::rows::{OrderRow, named, push_list, push_range, readable, text};
use crate::ledger::{Counts, LedgerError, Row, StatusFilter};

impl MySqlLedger {
    pub(in crate::ledger) async fn read(
        &self,
        tickets: &[TicketId],
    ) -> Result<Vec<Option<Row>>, Fault> {
        let mut connection = self.reading().await?;
        let rounds: BTreeSet<RoundId> = tickets.iter().map(|ticket| ticket.round()).collect();
        let sales = sales_of(&mut connection, &rounds).await?;
        let settlements = standing(&mut connection, tickets.iter()).await?;
        connection.done();
        let rows = tickets
            .iter()
            .map(|ticket| settlements.get(ticket).map(|found| named(&sales, found.clone())))
            .map(Option::transpose)
            .collect::<Result<_, LedgerError>>()?;
        Ok(rows)
    }

    pub(in crate::ledger) async fn tickets(
        &self,
        round: RoundId,
        status: Option<StatusFilter>,
        after: Option<TicketId>,
        most: u32,
    ) -> Result<Vec<Row>, Fault> {
        let mut connection = self.reading().await?;
        let sales = sales_of(&mut connection, &BTreeSet::from([round])).await?;
        let mut query = QueryBuilder::<MySql>::new(OrderRow::SELECT);
        push_range(&mut query, round, after);
        match status {
            Some(StatusFilter::Confirmed) => query.push(" AND status = 'confirmed'"),
            Some(StatusFilter::Rejected) => query.push(" AND status = 'rejected'"),
            None => &mut query,
        };
        query.push(" ORDER BY ticket LIMIT ").push_bind(most);
        let rows: Vec<OrderRow> = query.build_query_as().fetch_all(&mut *connection).await?;
        connection.done();
        let rows = rows.into_iter().map(|order| named(&sales, order.settlement()?));
        Ok(rows.collect::<Result<_, LedgerError>>()?)
    }

    pub(in crate::ledger) async fn counts(&self, round: RoundId) -> Result<Option<Counts>, Fault> {
        let mut connection = self.reading().await?;
        let counts: Option<(u32, u32, u64)> =
            sqlx::query_as("SELECT stock, available, rejected FROM rounds WHERE round = ?")
                .bind(round.0)
                .fetch_optional(&mut *connection)
                .await?;
        connection.done();
        Ok(counts.map(|(stock, available, rejected)| Counts { stock, available, rejected }))
    }

    pub(in crate::ledger) async fn snapshot(
        &self,
        round: RoundId,
    ) -> Result<Option<Snapshot>, Fault> {
        // On the pool that writes: a large round takes longer than a reader's statement may.
        let mut tx = Held::from(&self.writers).await?;
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        tx.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let snapshot = view(&mut tx, round).await?;
        tx.commit().await?;
        Ok(snapshot)
    }

    pub(in crate::ledger) async fn retire(&self, round: RoundId) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            // A change of stock is begun under the same lock.
            restocks::lock(&mut tx, round).await?;
            sqlx::query(
                "UPDATE rounds SET retired = 1 WHERE round = ? AND NOT EXISTS \
                 (SELECT 1 FROM restocks s WHERE s.round = ? AND s.applied IS NULL)",
            )
            .bind(round.0)
            .bind(round.0)
            .execute(&mut *tx)
            .await?;
            let retired: bool = sqlx::query_scalar("SELECT retired FROM rounds WHERE round = ?")
                .bind(round.0)
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(retired)
        })
        .await
    }
}

async fn view(tx: &mut MySqlConnection, round: RoundId) -> Result<Option<Snapshot>, Fault> {
    let Some(sale) = sales::by_round(tx, round).await? else { return Ok(None) };
    let available: u32 = sqlx::query_scalar("SELECT available FROM rounds WHERE round = ?")
        .bind(round.0)
        .fetch_one(&mut *tx)
        .await?;
    let found: Vec<(Vec<u8>, i32)> = sqlx::query_as(
        "SELECT `key`, COALESCE(applied, `change`) FROM restocks \
         WHERE round = ? AND (`change` > 0 OR applied IS NOT NULL) ORDER BY `key`",
    )
    .bind(round.0)
    .fetch_all(&mut *tx)
    .await?;
    let mut query = QueryBuilder::<MySql>::new(OrderRow::SELECT);
    push_range(&mut query, round, None);
    query.push(" ORDER BY ticket");
    let orders: Vec<OrderRow> = query.build_query_as().fetch_all(&mut *tx).await?;
    Ok(Some(Snapshot {
        terms: sale.terms(),
        incarnation: sale.incarnation,
        available: available.into(),
        tickets: orders
            .into_iter()
            .map(OrderRow::settlement)
            .collect::<Result<_, LedgerError>>()?,
        restocks: found
            .into_iter()
            .map(|(key, applied)| Ok((text("restocks", key)?, applied)))
            .collect::<Result<_, LedgerError>>()?,
    }))
}

/// What stands of these tickets.
pub(super) async fn standing<'a>(
    connection: &mut MySqlConnection,
    tickets: impl Iterator<Item = &'a TicketId>,
) -> Result<HashMap<TicketId, Settlement>, Fault> {
    let tickets: Vec<&TicketId> = tickets.collect();
    let mut standing = HashMap::new();
    for part in tickets.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(OrderRow::SELECT);
        query.push("ticket IN ");
        push_list(&mut query, part.iter().map(|ticket| &ticket.0[..]));
        let found: Vec<OrderRow> = query
            .build_query_as()
            .persistent(is_kept(part.len()))
            .fetch_all(&mut *connection)
            .await?;
        for order in found {
            let settlement = order.settlement()?;
            standing.insert(settlement.ticket, settlement);
        }
    }
    Ok(standing)
}

/// The sales that these rounds belong to.
async fn sales_of(
    connection: &mut MySqlConnection,
    rounds: &BTreeSet<RoundId>,
) -> Result<HashMap<RoundId, SaleId>, Fault> {
    let rounds: Vec<RoundId> = rounds.iter().copied().collect();
    let mut sales = HashMap::new();
    for part in rounds.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("SELECT round, sale FROM rounds WHERE round IN ");
        push_list(&mut query, part.iter().map(|round| round.0));
        let found: Vec<(u32, Vec<u8>)> =
            query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
        for (round, sale) in found {
            let sale = SaleId::new(&text("rounds", sale)?);
            sales.insert(RoundId(round), readable("rounds", sale)?);
        }
    }
    Ok(sales)
}
