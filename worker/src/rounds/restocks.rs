//! Changes of stock that were begun and not finished, as by a crash between ledger and gate.

use std::collections::HashMap;
use std::time::Duration;

use sale::id::RoundId;
use store::Seams;
use store::gate::{GateError, Slot};
use store::ledger::RestockRow;
use tokio::time::Instant;

use super::Trouble;

/// Finishes changes of stock that nobody else finishes.
pub(super) struct Restocks {
    after: Duration,
    seen: HashMap<(RoundId, String), Instant>,
}

impl Restocks {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, seen: HashMap::new() }
    }

    /// Finishes those that have been seen unfinished for long enough: who began one may be at
    /// work on it. Doing it twice changes nothing, as gate and ledger know the keys. One that
    /// fails keeps no other waiting; the last trouble is told.
    pub(super) async fn finish(
        &mut self,
        seams: &Seams,
        unfinished: Vec<RestockRow>,
    ) -> Result<(), Trouble> {
        let now = Instant::now();
        let mut seen = HashMap::new();
        let mut overdue = Vec::new();
        for row in unfinished {
            let key = (row.round, row.key.clone());
            let since = self.seen.get(&key).copied().unwrap_or(now);
            seen.insert(key, since);
            if now.duration_since(since) >= self.after {
                overdue.push(row);
            }
        }
        self.seen = seen;
        let mut trouble = Ok(());
        for row in overdue {
            match finish(seams, &row).await {
                Ok(true) => tracing::info!(
                    round = row.round.0,
                    "finished a change of stock that was left unfinished"
                ),
                // It is loaded first.
                Ok(false) => {}
                Err(error) => trouble = Err(error),
            }
        }
        trouble
    }
}

/// Finishes one change. Answers false if the gate does not have its round.
async fn finish(seams: &Seams, row: &RestockRow) -> Result<bool, Trouble> {
    match seams.gate.restock(Slot::first(row.round), &row.key, &row.change).await {
        Ok(applied) => {
            seams.ledger.finish_restock(row.round, &row.key, applied).await?;
            Ok(true)
        }
        Err(GateError::NotWarm(_) | GateError::Recovering(_)) => Ok(false),
        Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => Err(error.into()),
    }
}
