//! Sales and their rounds.

use sale::id::{RoundId, SaleId};
use sale::terms::{NewSale, Window};
use sale::time::Timestamp;
use sqlx::{MySql, MySqlConnection, QueryBuilder};

use super::fault::Fault;
use super::{MySqlLedger, tried};
use crate::ledger::change::{Change, amending};
use crate::ledger::rows::{Requested, SaleRow};
use crate::ledger::{Amended, Amendment, Creation, LedgerError, Sale};

impl MySqlLedger {
    pub(in crate::ledger) async fn create(&self, new: &NewSale) -> Result<Creation, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let created = create(&mut tx, new).await?;
            tx.commit().await?;
            Ok(created)
        })
        .await
    }

    pub(in crate::ledger) async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, Fault> {
        let mut connection = self.reading().await?;
        let sale = by_id(&mut connection, id).await?;
        connection.done();
        Ok(sale)
    }

    pub(in crate::ledger) async fn sale_of(&self, round: RoundId) -> Result<Option<Sale>, Fault> {
        let mut connection = self.reading().await?;
        let sale = by_round(&mut connection, round).await?;
        connection.done();
        Ok(sale)
    }

    pub(in crate::ledger) async fn sales(&self, most: u32) -> Result<Vec<Sale>, Fault> {
        let mut connection = self.reading().await?;
        let mut query = QueryBuilder::<MySql>::new(SaleRow::SELECT);
        query
            .push(SaleRow::PRESENT)
            .push(" ORDER BY r.retired, r.round DESC LIMIT ")
            .push_bind(most);
        let rows: Vec<SaleRow> = query.build_query_as().fetch_all(&mut *connection).await?;
        connection.done();
        Ok(rows.into_iter().map(SaleRow::sale).collect::<Result<_, LedgerError>>()?)
    }

    pub(in crate::ledger) async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let amended = amend(&mut tx, id, amendment, now).await?;
            tx.commit().await?;
            Ok(amended)
        })
        .await
    }
}

async fn create(tx: &mut MySqlConnection, new: &NewSale) -> Result<Creation, Fault> {
    let requested = Requested::by(new);
    // Of several requests at the same time one inserts, and the others wait here for it.
    sqlx::query(
        "INSERT INTO sales (id, name, requested) VALUES (?, ?, ?) \
         ON DUPLICATE KEY UPDATE id = VALUES(id)",
    )
    .bind(new.id.as_str().as_bytes())
    .bind(new.name.get())
    .bind(requested.to_json()?)
    .execute(&mut *tx)
    .await?;
    if let Some(sale) = by_id(tx, &new.id).await? {
        let before: String = sqlx::query_scalar("SELECT requested FROM sales WHERE id = ?")
            .bind(new.id.as_str().as_bytes())
            .fetch_one(&mut *tx)
            .await?;
        let same = Requested::from_json(&before)? == requested;
        return Ok(if same { Creation::Same(sale) } else { Creation::Differs });
    }
    sqlx::query(
        "INSERT INTO rounds \
         (sale, salt, stock, available, per_buyer, opens_at, closes_at, answer_within, loaded) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, FALSE)",
    )
    .bind(new.id.as_str().as_bytes())
    .bind(rand::random::<[u8; 32]>().to_vec())
    .bind(*new.stock.get())
    .bind(*new.stock.get())
    .bind(new.limit.get())
    .bind(new.window.opens_at().millis())
    .bind(new.window.closes_at().millis())
    .bind(i64::try_from(new.answer_within.as_millis()).unwrap_or(i64::MAX))
    .execute(&mut *tx)
    .await?;
    Ok(Creation::Created(standing(tx, &new.id).await?))
}

async fn amend(
    tx: &mut MySqlConnection,
    id: &SaleId,
    amendment: &Amendment,
    now: Timestamp,
) -> Result<Amended, Fault> {
    // The row of the sale is the lock of its terms.
    sqlx::query("SELECT id FROM sales WHERE id = ? FOR UPDATE")
        .bind(id.as_str().as_bytes())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(sale) = by_id(tx, id).await? else { return Ok(Amended::Unknown) };
    match amending(&sale, amendment, now) {
        Change::NotUpcoming => return Ok(Amended::NotUpcoming),
        Change::EmptyWindow => return Ok(Amended::EmptyWindow),
        Change::Name(name) => {
            sqlx::query("UPDATE sales SET name = ? WHERE id = ?")
                .bind(name.get())
                .bind(id.as_str().as_bytes())
                .execute(&mut *tx)
                .await?;
        }
        Change::Terms { window, closed } => {
            write_terms(tx, sale.round, window, closed).await?;
        }
        Change::Nothing => {}
    }
    Ok(Amended::Done(standing(tx, id).await?))
}

/// Writes terms, with the next version.
async fn write_terms(
    tx: &mut MySqlConnection,
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
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The sale of a round, with that round.
pub(super) async fn by_round(
    connection: &mut MySqlConnection,
    round: RoundId,
) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SaleRow::SELECT);
    query.push("r.round = ").push_bind(round.0);
    one(connection, query).await
}

async fn standing(connection: &mut MySqlConnection, id: &SaleId) -> Result<Sale, Fault> {
    by_id(connection, id).await?.ok_or_else(|| Fault::Refused(format!("sale {id} has no round")))
}

async fn by_id(connection: &mut MySqlConnection, id: &SaleId) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SaleRow::SELECT);
    query.push(SaleRow::PRESENT).push(" AND s.id = ").push_bind(id.as_str().as_bytes());
    one(connection, query).await
}

async fn one(
    connection: &mut MySqlConnection,
    mut query: QueryBuilder<'_, MySql>,
) -> Result<Option<Sale>, Fault> {
    let row: Option<SaleRow> = query.build_query_as().fetch_optional(connection).await?;
    Ok(row.map(SaleRow::sale).transpose()?)
}
