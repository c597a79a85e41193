//! Decided tickets and the counts of their rounds, as they stand.

use std::collections::{BTreeSet, HashMap};

use sale::id::{RoundId, SaleId, TicketId};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::fault::Fault;
use super::{ROWS_A_STATEMENT, SqliteLedger, sales};
use crate::gate::{Settlement, Snapshot};
use crate::ledger::rows::{OrderRow, named, push_list, push_range, readable};
use crate::ledger::{Counts, LedgerError, Row, StatusFilter};

impl SqliteLedger {
    pub(in crate::ledger) async fn read(
        &self,
        tickets: &[TicketId],
    ) -> Result<Vec<Option<Row>>, Fault> {
        let mut connection = self.readers.acquire().await?;
        let rounds: BTreeSet<RoundId> = tickets.iter().map(|ticket| ticket.round()).collect();
        let sales = sales_of(&mut connection, &rounds).await?;
        let settlements = standing(&mut connection, tickets.iter()).await?;
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
        let mut connection = self.readers.acquire().await?;
        let sales = sales_of(&mut connection, &BTreeSet::from([round])).await?;
        let mut query = QueryBuilder::<Sqlite>::new(OrderRow::SELECT);
        push_range(&mut query, round, after);
        match status {
            Some(StatusFilter::Confirmed) => query.push(" AND status = 'confirmed'"),
            Some(StatusFilter::Rejected) => query.push(" AND status = 'rejected'"),
            None => &mut query,
        };
        query.push(" ORDER BY ticket LIMIT ").push_bind(most);
        let rows: Vec<OrderRow> = query.build_query_as().fetch_all(&mut *connection).await?;
        let rows = rows.into_iter().map(|order| named(&sales, order.settlement()?));
        Ok(rows.collect::<Result<_, LedgerError>>()?)
    }

    pub(in crate::ledger) async fn counts(&self, round: RoundId) -> Result<Option<Counts>, Fault> {
        let counts: Option<(u32, u32, u64)> =
            sqlx::query_as("SELECT stock, available, rejected FROM rounds WHERE round = ?")
                .bind(round.0)
                .fetch_optional(&self.readers)
                .await?;
        Ok(counts.map(|(stock, available, rejected)| Counts { stock, available, rejected }))
    }

    pub(in crate::ledger) async fn snapshot(
        &self,
        round: RoundId,
    ) -> Result<Option<Snapshot>, Fault> {
        let mut tx = self.readers.begin().await?;
        let Some(sale) = sales::by_round(&mut *tx, round).await? else { return Ok(None) };
        let available = sqlx::query_scalar("SELECT available FROM rounds WHERE round = ?")
            .bind(round.0)
            .fetch_one(&mut *tx)
            .await?;
        let restocks = sqlx::query_as(
            "SELECT key, coalesce(applied, change) FROM restocks \
             WHERE round = ? AND (change > 0 OR applied IS NOT NULL) ORDER BY key",
        )
        .bind(round.0)
        .fetch_all(&mut *tx)
        .await?;
        let mut query = QueryBuilder::<Sqlite>::new(OrderRow::SELECT);
        push_range(&mut query, round, None);
        query.push(" ORDER BY ticket");
        let orders: Vec<OrderRow> = query.build_query_as().fetch_all(&mut *tx).await?;
        let tickets =
            orders.into_iter().map(OrderRow::settlement).collect::<Result<_, LedgerError>>()?;
        let (terms, incarnation) = (sale.terms(), sale.incarnation);
        Ok(Some(Snapshot { terms, incarnation, available, tickets, restocks }))
    }

    pub(in crate::ledger) async fn retire(&self, round: RoundId) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE rounds SET retired = 1 WHERE round = ?1 AND NOT EXISTS \
             (SELECT 1 FROM restocks WHERE round = ?1 AND applied IS NULL)",
        )
        .bind(round.0)
        .execute(&mut *tx)
        .await?;
        let retired: Option<bool> =
            sqlx::query_scalar("SELECT retired FROM rounds WHERE round = ?")
                .bind(round.0)
                .fetch_optional(&mut *tx)
                .await?;
        tx.commit().await?;
        retired.ok_or_else(|| Fault::refused(format!("there is no round {round}")))
    }
}

/// What stands of these tickets.
pub(super) async fn standing<'a>(
    connection: &mut SqliteConnection,
    tickets: impl Iterator<Item = &'a TicketId>,
) -> Result<HashMap<TicketId, Settlement>, Fault> {
    let tickets: Vec<&TicketId> = tickets.collect();
    let mut standing = HashMap::new();
    for part in tickets.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new(OrderRow::SELECT);
        query.push("ticket IN ");
        push_list(&mut query, part.iter().map(|ticket| &ticket.0[..]));
        let found: Vec<OrderRow> =
            query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
        for order in found {
            let settlement = order.settlement()?;
            standing.insert(settlement.ticket, settlement);
        }
    }
    Ok(standing)
}

/// The sales that these rounds belong to.
async fn sales_of(
    connection: &mut SqliteConnection,
    rounds: &BTreeSet<RoundId>,
) -> Result<HashMap<RoundId, SaleId>, Fault> {
    let rounds: Vec<RoundId> = rounds.iter().copied().collect();
    let mut sales = HashMap::new();
    for part in rounds.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::new("SELECT round, sale FROM rounds WHERE round IN ");
        push_list(&mut query, part.iter().map(|round| round.0));
        let found: Vec<(u32, String)> =
            query.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
        for (round, sale) in found {
            sales.insert(RoundId(round), readable("rounds", SaleId::new(&sale))?);
        }
    }
    Ok(sales)
}
