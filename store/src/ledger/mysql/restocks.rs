//! Changes of stock: upwards applied here first, downwards in the gate first.

use sale::id::RoundId;
use sale::terms::Restock;
use sqlx::MySqlConnection;

use super::fault::Fault;
use super::{MySqlLedger, tried};
use crate::ledger::change::{StockRow, to_finish};
use crate::ledger::rows::{readable, text};
use crate::ledger::{LedgerError, RestockBegun, RestockRow};

impl MySqlLedger {
    pub(in crate::ledger) async fn begin_restock(
        &self,
        round: RoundId,
        key: &str,
        change: &Restock,
    ) -> Result<RestockBegun, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let begun = begin(&mut tx, round, key, change).await?;
            tx.commit().await?;
            Ok(begun)
        })
        .await
    }

    pub(in crate::ledger) async fn finish_restock(
        &self,
        round: RoundId,
        key: &str,
        applied: i32,
    ) -> Result<(), Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            lock(&mut tx, round).await?;
            let row = find(&mut tx, round, key)
                .await?
                .ok_or_else(|| Fault::Refused(format!("round {round} has no restock {key:?}")))?;
            if to_finish(&row, applied)? {
                sqlx::query("UPDATE restocks SET applied = ? WHERE round = ? AND `key` = ?")
                    .bind(applied)
                    .bind(round.0)
                    .bind(key.as_bytes())
                    .execute(&mut *tx)
                    .await?;
                if applied < 0 {
                    move_stock(&mut tx, round, applied).await?;
                }
            }
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn unfinished_restocks(&self) -> Result<Vec<RestockRow>, Fault> {
        let mut connection = self.reading().await?;
        let rows: Vec<(u32, Vec<u8>, i32)> = sqlx::query_as(
            "SELECT s.round, s.`key`, s.`change` FROM restocks s \
             JOIN rounds r ON r.round = s.round \
             WHERE s.applied IS NULL AND NOT r.retired ORDER BY s.round, s.`key`",
        )
        .fetch_all(&mut *connection)
        .await?;
        connection.done();
        let rows = rows
            .into_iter()
            .map(|(round, key, change)| row(RoundId(round), text("restocks", key)?, change, None));
        Ok(rows.collect::<Result<_, LedgerError>>()?)
    }
}

async fn begin(
    tx: &mut MySqlConnection,
    round: RoundId,
    key: &str,
    change: &Restock,
) -> Result<RestockBegun, Fault> {
    lock(tx, round).await?;
    if let Some(row) = find(tx, round, key).await? {
        let same = row.change == *change;
        return Ok(if same { RestockBegun::Stands(row) } else { RestockBegun::KeyReused });
    }
    let stock: StockRow = sqlx::query_as(
        "SELECT stock, retired, (SELECT COUNT(*) FROM restocks s WHERE s.round = r.round) AS changes \
         FROM rounds r WHERE round = ?",
    )
    .bind(round.0)
    .fetch_one(&mut *tx)
    .await?;
    if !stock.allows(round, change)? {
        return Ok(RestockBegun::OutOfBounds);
    }
    sqlx::query("INSERT INTO restocks (round, `key`, `change`) VALUES (?, ?, ?)")
        .bind(round.0)
        .bind(key.as_bytes())
        .bind(*change.get())
        .execute(&mut *tx)
        .await?;
    if *change.get() > 0 {
        move_stock(tx, round, *change.get()).await?;
    }
    let row = RestockRow { round, key: key.to_owned(), change: change.clone(), applied: None };
    Ok(RestockBegun::Stands(row))
}

/// Locks a round that must be there: nobody else changes its stock before the transaction ends.
pub(super) async fn lock(tx: &mut MySqlConnection, round: RoundId) -> Result<(), Fault> {
    let found: Option<u32> =
        sqlx::query_scalar("SELECT round FROM rounds WHERE round = ? FOR UPDATE")
            .bind(round.0)
            .fetch_optional(&mut *tx)
            .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(Fault::Refused(format!("there is no round {round}"))),
    }
}

async fn find(
    tx: &mut MySqlConnection,
    round: RoundId,
    key: &str,
) -> Result<Option<RestockRow>, Fault> {
    let found: Option<(i32, Option<i32>)> =
        sqlx::query_as("SELECT `change`, applied FROM restocks WHERE round = ? AND `key` = ?")
            .bind(round.0)
            .bind(key.as_bytes())
            .fetch_optional(&mut *tx)
            .await?;
    let found = found.map(|(change, applied)| row(round, key.to_owned(), change, applied));
    Ok(found.transpose()?)
}

async fn move_stock(tx: &mut MySqlConnection, round: RoundId, by: i32) -> Result<(), Fault> {
    sqlx::query("UPDATE rounds SET stock = stock + ?, available = available + ? WHERE round = ?")
        .bind(by)
        .bind(by)
        .bind(round.0)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

fn row(
    round: RoundId,
    key: String,
    change: i32,
    applied: Option<i32>,
) -> Result<RestockRow, LedgerError> {
    Ok(RestockRow { round, key, change: readable("restocks", Restock::new(change))?, applied })
}
