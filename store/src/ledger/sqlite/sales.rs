//! Sales and their rounds.

use sale::id::{RoundId, SaleId};
use sale::terms::{NewSale, Window};
use sale::time::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteExecutor};

use super::SqliteLedger;
use super::fault::Fault;
use crate::ledger::change::{Change, amending};
use crate::ledger::rows::{Requested, SaleRow};
use crate::ledger::{Amended, Amendment, Creation, LedgerError, Sale};

impl SqliteLedger {
    pub(in crate::ledger) async fn create(&self, new: &NewSale) -> Result<Creation, Fault> {
        let mut tx = self.write().await?;
        let before: Option<String> = sqlx::query_scalar("SELECT requested FROM sales WHERE id = ?")
            .bind(new.id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let requested = Requested::by(new);
        if let Some(before) = before {
            if Requested::from_json(&before)? != requested {
                return Ok(Creation::Differs);
            }
            return Ok(Creation::Same(standing(&mut *tx, &new.id).await?));
        }
        sqlx::query("INSERT INTO sales (id, name, requested) VALUES (?, ?, ?)")
            .bind(new.id.as_str())
            .bind(new.name.get())
            .bind(requested.to_json()?)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO rounds \
             (sale, salt, stock, available, per_buyer, opens_at, closes_at, answer_within, loaded) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, FALSE)",
        )
        .bind(new.id.as_str())
        .bind(rand::random::<[u8; 32]>().to_vec())
        .bind(*new.stock.get())
        .bind(new.limit.get())
        .bind(new.window.opens_at().millis())
        .bind(new.window.closes_at().millis())
        .bind(i64::try_from(new.answer_within.as_millis()).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        let sale = standing(&mut *tx, &new.id).await?;
        tx.commit().await?;
        Ok(Creation::Created(sale))
    }

    pub(in crate::ledger) async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, Fault> {
        by_id(&self.readers, id).await
    }

    pub(in crate::ledger) async fn sale_of(&self, round: RoundId) -> Result<Option<Sale>, Fault> {
        by_round(&self.readers, round).await
    }

    pub(in crate::ledger) async fn sales(&self, most: u32) -> Result<Vec<Sale>, Fault> {
        let mut query = QueryBuilder::<Sqlite>::new(SaleRow::SELECT);
        query
            .push(SaleRow::PRESENT)
            .push(" ORDER BY r.retired, r.round DESC LIMIT ")
            .push_bind(most);
        let rows: Vec<SaleRow> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(SaleRow::sale).collect::<Result<_, LedgerError>>()?)
    }

    pub(in crate::ledger) async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, Fault> {
        let mut tx = self.write().await?;
        let Some(sale) = by_id(&mut *tx, id).await? else { return Ok(Amended::Unknown) };
        match amending(&sale, amendment, now) {
            Change::NotUpcoming => return Ok(Amended::NotUpcoming),
            Change::EmptyWindow => return Ok(Amended::EmptyWindow),
            Change::Name(name) => {
                sqlx::query("UPDATE sales SET name = ? WHERE id = ?")
                    .bind(name.get())
                    .bind(id.as_str())
                    .execute(&mut *tx)
                    .await?;
            }
            Change::Terms { window, closed } => {
                write_terms(&mut *tx, sale.round, window, closed).await?;
            }
            Change::Nothing => {}
        }
        let sale = standing(&mut *tx, id).await?;
        tx.commit().await?;
        Ok(Amended::Done(sale))
    }
}

/// Writes terms, with the next version.
async fn write_terms(
    executor: impl SqliteExecutor<'_>,
    round: RoundId,
    window: Window,
    closed: bool,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE rounds SET opens_at = ?, closes_at = ?, closed = ?, \
         terms_version = terms_version + 1 WHERE round = ?",
    )
    .bind(window.opens_at().millis())
    .bind(window.closes_at().millis())
    .bind(closed)
    .bind(round.0)
    .execute(executor)
    .await?;
    Ok(())
}

/// The sale of a round, with that round.
pub(super) async fn by_round(
    executor: impl SqliteExecutor<'_>,
    round: RoundId,
) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SaleRow::SELECT);
    query.push("r.round = ").push_bind(round.0);
    one(executor, query).await
}

async fn standing(executor: impl SqliteExecutor<'_>, id: &SaleId) -> Result<Sale, Fault> {
    by_id(executor, id).await?.ok_or_else(|| Fault::refused(format!("sale {id} has no round")))
}

async fn by_id(executor: impl SqliteExecutor<'_>, id: &SaleId) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SaleRow::SELECT);
    query.push(SaleRow::PRESENT).push(" AND s.id = ").push_bind(id.as_str());
    one(executor, query).await
}

async fn one(
    executor: impl SqliteExecutor<'_>,
    mut query: QueryBuilder<'_, Sqlite>,
) -> Result<Option<Sale>, Fault> {
    let row: Option<SaleRow> = query.build_query_as().fetch_optional(executor).await?;
    Ok(row.map(SaleRow::sale).transpose()?)
}
