//! Changes of stock: upwards applied here first, downwards in the gate first.

use sale::id::RoundId;
use sale::terms::Restock;
use sqlx::{Sqlite, Transaction};

use super::SqliteLedger;
use super::fault::Fault;
use crate::ledger::change::{StockRow, to_finish};
use crate::ledger::rows::readable;
use crate::ledger::{RestockBegun, RestockRow};

impl SqliteLedger {
    pub(in crate::ledger) async fn begin_restock(
        &self,
        round: RoundId,
        key: &str,
        change: &Restock,
    ) -> Result<RestockBegun, Fault> {
        let mut tx = self.write().await?;
        if let Some(row) = find(&mut tx, round, key).await? {
            let same = row.change == *change;
            return Ok(if same { RestockBegun::Stands(row) } else { RestockBegun::KeyReused });
        }
        let stock: StockRow = sqlx::query_as(
            "SELECT stock, retired, \
             (SELECT count(*) FROM restocks WHERE round = r.round) AS changes \
             FROM rounds r WHERE round = ?",
        )
        .bind(round.0)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| Fault::refused(format!("there is no round {round}")))?;
        if !stock.allows(round, change)? {
            return Ok(RestockBegun::OutOfBounds);
        }
        sqlx::query("INSERT INTO restocks (round, key, change) VALUES (?, ?, ?)")
            .bind(round.0)
            .bind(key)
            .bind(*change.get())
            .execute(&mut *tx)
            .await?;
        if *change.get() > 0 {
            move_stock(&mut tx, round, *change.get()).await?;
        }
        tx.commit().await?;
        let row = RestockRow { round, key: key.to_owned(), change: change.clone(), applied: None };
        Ok(RestockBegun::Stands(row))
    }

    pub(in crate::ledger) async fn finish_restock(
        &self,
        round: RoundId,
        key: &str,
        applied: i32,
    ) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        let row = find(&mut tx, round, key)
            .await?
            .ok_or_else(|| Fault::refused(format!("round {round} has no restock {key:?}")))?;
        if !to_finish(&row, applied)? {
            return Ok(());
        }
        sqlx::query("UPDATE restocks SET applied = ? WHERE round = ? AND key = ?")
            .bind(applied)
            .bind(round.0)
            .bind(key)
            .execute(&mut *tx)
            .await?;
        if applied < 0 {
            move_stock(&mut tx, round, applied).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::ledger) async fn unfinished_restocks(&self) -> Result<Vec<RestockRow>, Fault> {
        let rows: Vec<(u32, String, i32)> = sqlx::query_as(
            "SELECT s.round, s.key, s.change FROM restocks s JOIN rounds r ON r.round = s.round \
             WHERE s.applied IS NULL AND NOT r.retired ORDER BY s.round, s.key",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(round, key, change)| row(RoundId(round), key, change, None))
            .collect()
    }
}

async fn find(
    tx: &mut Transaction<'_, Sqlite>,
    round: RoundId,
    key: &str,
) -> Result<Option<RestockRow>, Fault> {
    let found: Option<(i32, Option<i32>)> =
        sqlx::query_as("SELECT change, applied FROM restocks WHERE round = ? AND key = ?")
            .bind(round.0)
            .bind(key)
            .fetch_optional(&mut **tx)
            .await?;
    found.map(|(change, applied)| row(round, key.to_owned(), change, applied)).transpose()
}

async fn move_stock(
    tx: &mut Transaction<'_, Sqlite>,
    round: RoundId,
    by: i32,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE rounds SET stock = stock + ?1, available = available + ?1 WHERE round = ?2",
    )
    .bind(by)
    .bind(round.0)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn row(
    round: RoundId,
    key: String,
    change: i32,
    applied: Option<i32>,
) -> Result<RestockRow, Fault> {
    Ok(RestockRow { round, key, change: readable("restocks", Restock::new(change))?, applied })
}
