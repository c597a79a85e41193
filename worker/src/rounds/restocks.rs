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
    /// work on it. Doing it twice changes nothing, as gate and ledger know the keys.
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
        for RestockRow { round, key, change, applied: _ } in overdue {
            match seams.gate.restock(Slot::first(round), &key, &change).await {
                Ok(applied) => seams.ledger.finish_restock(round, &key, applied).await?,
                // It is loaded first, by the next walk.
                Err(GateError::NotWarm(_)) => continue,
                Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => {
                    return Err(error.into());
                }
            }
            tracing::info!(round = round.0, "finished a change of stock that was left unfinished");
        }
        Ok(())
    }
}
