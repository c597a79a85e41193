//! Rounds whose gate is rebuilt. Rows found are counted, not rows changed: sqlx asks the server
//! to count so.

use sale::id::RoundId;
use sale::time::Timestamp;
use sqlx::MySqlConnection;

use super::fault::Fault;
use super::{MySqlLedger, restocks, tried};
use crate::gate::Snapshot;
use crate::ledger::WorkerId;
use crate::ledger::recovering::{Unmoved, bit, latest};

impl MySqlLedger {
    pub(in crate::ledger) async fn recover(
        &self,
        round: RoundId,
        incarnation: u32,
    ) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let moved = recover(&mut tx, round, incarnation).await?;
            tx.commit().await?;
            Ok(moved)
        })
        .await
    }

    pub(in crate::ledger) async fn pass_fence(
        &self,
        round: RoundId,
        incarnation: u32,
        partition: u8,
    ) -> Result<(), Fault> {
        let bit = bit(partition)?;
        tried(async || {
            let mut tx = self.write().await?;
            sqlx::query(
                "UPDATE rounds SET fences = fences | ? \
                 WHERE round = ? AND incarnation = ? AND NOT loaded",
            )
            .bind(bit)
            .bind(round.0)
            .bind(incarnation)
            .execute(&mut *tx)
            .await?;
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn lease(
        &self,
        round: RoundId,
        by: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let taken = sqlx::query(
                "UPDATE rounds SET leased_by = ?, leased_until = ? WHERE round = ? \
                 AND (leased_by IS NULL OR leased_by = ? OR leased_until <= ? OR leased_until > ?)",
            )
            .bind(&by.0[..])
            .bind(until.millis())
            .bind(round.0)
            .bind(&by.0[..])
            .bind(now.millis())
            .bind(latest(now, until).millis())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }

    pub(in crate::ledger) async fn end_lease(
        &self,
        round: RoundId,
        by: WorkerId,
    ) -> Result<(), Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            sqlx::query(
                "UPDATE rounds SET leased_by = NULL, leased_until = 0 \
                 WHERE round = ? AND leased_by = ?",
            )
            .bind(round.0)
            .bind(&by.0[..])
            .execute(&mut *tx)
            .await?;
            tx.commit().await
        })
        .await
    }

    pub(in crate::ledger) async fn set_loaded(&self, snapshot: &Snapshot) -> Result<bool, Fault> {
        let unmoved = Unmoved::since(snapshot);
        tried(async || {
            let mut tx = self.write().await?;
            // A statement that waits for the row may have begun to read the changes of stock
            // before: they are read by one that begins under the lock.
            restocks::lock(&mut tx, snapshot.terms.round).await?;
            let loaded = sqlx::query(
                "UPDATE rounds SET loaded = TRUE \
                 WHERE round = ? AND incarnation = ? AND NOT loaded AND NOT retired \
                 AND stock = ? AND available = ? AND rejected = ? AND ? = \
                 (SELECT COUNT(*) FROM restocks s \
                  WHERE s.round = ? AND (s.`change` > 0 OR s.applied IS NOT NULL))",
            )
            .bind(snapshot.terms.round.0)
            .bind(snapshot.incarnation)
            .bind(unmoved.stock)
            .bind(unmoved.available)
            .bind(unmoved.rejected)
            .bind(unmoved.restocks)
            .bind(snapshot.terms.round.0)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(loaded.rows_affected() == 1)
        })
        .await
    }

    pub(in crate::ledger) async fn confirm_loaded(
        &self,
        round: RoundId,
        incarnation: u32,
    ) -> Result<bool, Fault> {
        tried(async || {
            let mut tx = self.write().await?;
            let loaded = sqlx::query(
                "UPDATE rounds SET loaded = TRUE \
                 WHERE round = ? AND incarnation = ? AND NOT loaded AND NOT retired",
            )
            .bind(round.0)
            .bind(incarnation)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(loaded.rows_affected() == 1)
        })
        .await
    }
}

/// Moves a loaded round to recovering.
pub(super) async fn recover(
    tx: &mut MySqlConnection,
    round: RoundId,
    incarnation: u32,
) -> Result<bool, Fault> {
    let moved = sqlx::query(
        "UPDATE rounds SET incarnation = incarnation + 1, sequence = 0, loaded = FALSE, fences = 0 \
         WHERE round = ? AND incarnation = ? AND loaded AND NOT retired",
    )
    .bind(round.0)
    .bind(incarnation)
    .execute(tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}
