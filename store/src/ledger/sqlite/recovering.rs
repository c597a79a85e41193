//! Rounds whose gate is rebuilt.

use sale::id::RoundId;
use sale::time::Timestamp;
use sqlx::SqliteConnection;

use super::SqliteLedger;
use super::fault::Fault;
use crate::gate::Snapshot;
use crate::ledger::WorkerId;
use crate::ledger::recovering::{Unmoved, bit, latest};

impl SqliteLedger {
    pub(in crate::ledger) async fn recover(
        &self,
        round: RoundId,
        incarnation: u32,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let moved = recover(&mut tx, round, incarnation).await?;
        tx.commit().await?;
        Ok(moved)
    }

    pub(in crate::ledger) async fn pass_fence(
        &self,
        round: RoundId,
        incarnation: u32,
        partition: u8,
    ) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE rounds SET fences = fences | ? \
             WHERE round = ? AND incarnation = ? AND NOT loaded",
        )
        .bind(bit(partition)?)
        .bind(round.0)
        .bind(incarnation)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::ledger) async fn lease(
        &self,
        round: RoundId,
        by: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let taken = sqlx::query(
            "UPDATE rounds SET leased_by = ?1, leased_until = ?2 WHERE round = ?3 \
             AND (leased_by IS NULL OR leased_by = ?1 OR leased_until <= ?4 \
             OR leased_until > ?5)",
        )
        .bind(&by.0[..])
        .bind(until.millis())
        .bind(round.0)
        .bind(now.millis())
        .bind(latest(now, until).millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(taken.rows_affected() == 1)
    }

    pub(in crate::ledger) async fn end_lease(
        &self,
        round: RoundId,
        by: WorkerId,
    ) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE rounds SET leased_by = NULL, leased_until = 0 \
             WHERE round = ? AND leased_by = ?",
        )
        .bind(round.0)
        .bind(&by.0[..])
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::ledger) async fn set_loaded(&self, snapshot: &Snapshot) -> Result<bool, Fault> {
        let unmoved = Unmoved::since(snapshot);
        let mut tx = self.write().await?;
        let loaded = sqlx::query(
            "UPDATE rounds SET loaded = TRUE \
             WHERE round = ?1 AND incarnation = ?2 AND NOT loaded AND NOT retired \
             AND stock = ?3 AND available = ?4 AND rejected = ?5 AND ?6 = \
             (SELECT count(*) FROM restocks \
              WHERE round = ?1 AND (change > 0 OR applied IS NOT NULL))",
        )
        .bind(snapshot.terms.round.0)
        .bind(snapshot.incarnation)
        .bind(unmoved.stock)
        .bind(unmoved.available)
        .bind(unmoved.rejected)
        .bind(unmoved.restocks)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(loaded.rows_affected() == 1)
    }

    pub(in crate::ledger) async fn confirm_loaded(
        &self,
        round: RoundId,
        incarnation: u32,
    ) -> Result<bool, Fault> {
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
    }
}

/// Moves a loaded round to recovering.
pub(super) async fn recover(
    tx: &mut SqliteConnection,
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
