//! Sales and their rounds.

use sale::id::{RoundId, SaleId, Salt};
use sale::terms::{NewSale, Phase, SaleName, Window};
use sale::time::Timestamp;
use sale::units::Units;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Sqlite, SqliteExecutor};

use super::SqliteLedger;
use super::fault::{Fault, readable};
use crate::ledger::{Amended, Amendment, Creation, Sale};

const SELECT: &str = "SELECT s.id, s.name, r.round, r.salt, r.per_buyer, r.opens_at, r.closes_at, \
    r.closed, r.terms_version, r.incarnation, r.retired \
    FROM rounds r JOIN sales s ON s.id = r.sale WHERE ";

/// The present round of a sale is its newest.
const PRESENT: &str = "NOT EXISTS \
    (SELECT 1 FROM rounds later WHERE later.sale = r.sale AND later.round > r.round)";

impl SqliteLedger {
    pub(in crate::ledger) async fn create(&self, new: &NewSale) -> Result<Creation, Fault> {
        let mut tx = self.write().await?;
        let before: Option<String> = sqlx::query_scalar("SELECT requested FROM sales WHERE id = ?")
            .bind(new.id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let requested = Requested::by(new);
        if let Some(before) = before {
            if readable::<Requested, _>("sales", serde_json::from_str(&before))? != requested {
                return Ok(Creation::Differs);
            }
            return Ok(Creation::Same(standing(&mut *tx, &new.id).await?));
        }
        sqlx::query("INSERT INTO sales (id, name, requested) VALUES (?, ?, ?)")
            .bind(new.id.as_str())
            .bind(new.name.get())
            .bind(readable("sales", serde_json::to_string(&requested))?)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO rounds \
             (sale, salt, stock, available, per_buyer, opens_at, closes_at, answer_within) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)",
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
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(PRESENT).push(" ORDER BY r.retired, r.round DESC LIMIT ").push_bind(most);
        let rows: Vec<SaleRow> = query.build_query_as().fetch_all(&self.readers).await?;
        rows.into_iter().map(SaleRow::sale).collect()
    }

    pub(in crate::ledger) async fn amend(
        &self,
        id: &SaleId,
        amendment: &Amendment,
        now: Timestamp,
    ) -> Result<Amended, Fault> {
        let mut tx = self.write().await?;
        let Some(sale) = by_id(&mut *tx, id).await? else { return Ok(Amended::Unknown) };
        match amendment {
            Amendment::Name(name) => {
                sqlx::query("UPDATE sales SET name = ? WHERE id = ?")
                    .bind(name.get())
                    .bind(id.as_str())
                    .execute(&mut *tx)
                    .await?;
            }
            Amendment::Close => write_terms(&mut *tx, &sale, sale.window, true).await?,
            Amendment::Window { opens_at, closes_at } => {
                let opens_at = opens_at.unwrap_or(sale.window.opens_at());
                let closes_at = closes_at.unwrap_or(sale.window.closes_at());
                let window = Window::new(opens_at, closes_at);
                if window != Ok(sale.window) && sale.terms().phase(now) != Phase::Upcoming {
                    return Ok(Amended::NotUpcoming);
                }
                let Ok(window) = window else { return Ok(Amended::EmptyWindow) };
                write_terms(&mut *tx, &sale, window, sale.closed).await?;
            }
        }
        let sale = standing(&mut *tx, id).await?;
        tx.commit().await?;
        Ok(Amended::Done(sale))
    }
}

/// Writes terms that differ from those of `sale`, with the next version.
async fn write_terms(
    executor: impl SqliteExecutor<'_>,
    sale: &Sale,
    window: Window,
    closed: bool,
) -> Result<(), Fault> {
    if (window, closed) == (sale.window, sale.closed) {
        return Ok(());
    }
    sqlx::query(
        "UPDATE rounds SET opens_at = ?, closes_at = ?, closed = ?, \
         terms_version = terms_version + 1 WHERE round = ?",
    )
    .bind(window.opens_at().millis())
    .bind(window.closes_at().millis())
    .bind(closed)
    .bind(sale.round.0)
    .execute(executor)
    .await?;
    Ok(())
}

/// The sale of a round, with that round.
pub(super) async fn by_round(
    executor: impl SqliteExecutor<'_>,
    round: RoundId,
) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("r.round = ").push_bind(round.0);
    one(executor, query).await
}

async fn standing(executor: impl SqliteExecutor<'_>, id: &SaleId) -> Result<Sale, Fault> {
    by_id(executor, id).await?.ok_or_else(|| Fault::refused(format!("sale {id} has no round")))
}

async fn by_id(executor: impl SqliteExecutor<'_>, id: &SaleId) -> Result<Option<Sale>, Fault> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(PRESENT).push(" AND s.id = ").push_bind(id.as_str());
    one(executor, query).await
}

async fn one(
    executor: impl SqliteExecutor<'_>,
    mut query: QueryBuilder<'_, Sqlite>,
) -> Result<Option<Sale>, Fault> {
    let row: Option<SaleRow> = query.build_query_as().fetch_optional(executor).await?;
    row.map(SaleRow::sale).transpose()
}

#[derive(sqlx::FromRow)]
struct SaleRow {
    id: String,
    name: String,
    round: u32,
    salt: Vec<u8>,
    per_buyer: u8,
    opens_at: i64,
    closes_at: i64,
    closed: bool,
    terms_version: u32,
    incarnation: u32,
    retired: bool,
}

impl SaleRow {
    fn sale(self) -> Result<Sale, Fault> {
        let opens_at = readable("rounds", Timestamp::from_millis(self.opens_at))?;
        let closes_at = readable("rounds", Timestamp::from_millis(self.closes_at))?;
        Ok(Sale {
            id: readable("sales", SaleId::new(&self.id))?,
            name: readable("sales", SaleName::new(self.name))?,
            round: RoundId(self.round),
            salt: Salt(readable("rounds", self.salt.try_into())?),
            limit: readable("rounds", Units::new(self.per_buyer.into()))?,
            window: readable("rounds", Window::new(opens_at, closes_at))?,
            closed: self.closed,
            terms_version: self.terms_version,
            incarnation: self.incarnation,
            retired: self.retired,
        })
    }
}

/// What the merchant asked for when he created the sale. `answer_within` is no part of it: it
/// is a setting of the server, and changing it must not turn the same request into another.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Requested {
    name: String,
    stock: u32,
    limit: Units,
    window: Window,
}

impl Requested {
    fn by(new: &NewSale) -> Self {
        Self {
            name: new.name.get().clone(),
            stock: *new.stock.get(),
            limit: new.limit,
            window: new.window,
        }
    }
}
