//! Since when the ledger has been within reach: waiting before that counts towards no deadline.

use std::time::Duration;

use sale::time::Timestamp;
use store::Seams;
use store::ledger::{DeadlineFrom, LedgerError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The worker's contact with the ledger.
pub(crate) struct Contact {
    seams: Seams,
    gap: Duration,
    last: Mutex<Option<Made>>,
}

struct Made {
    at: Instant,
    reachable_since: Timestamp,
}

impl Contact {
    pub(crate) fn new(seams: Seams, settings: &crate::Settings) -> Self {
        Self { seams, gap: settings.contact_gap, last: Mutex::new(None) }
    }

    /// Makes contact now. A failure needs no word here: it shows as the gap it leaves.
    pub(crate) async fn renew(&self) {
        if let Err(error) = self.make().await {
            tracing::debug!(%error, "no contact with the ledger");
        }
    }

    /// From when deadlines count. Asks the ledger if the last contact is too long ago to say.
    pub(crate) async fn deadline(&self) -> Result<DeadlineFrom, LedgerError> {
        let fresh = match &*self.last.lock().await {
            Some(made) if made.at.elapsed() < self.gap => Some(made.reachable_since),
            Some(_) | None => None,
        };
        let reachable_since = match fresh {
            Some(since) => since,
            None => self.make().await?,
        };
        Ok(DeadlineFrom { reachable_since })
    }

    /// Whether there has been any.
    pub(crate) async fn was_made(&self) -> bool {
        self.last.lock().await.is_some()
    }

    async fn make(&self) -> Result<Timestamp, LedgerError> {
        let at = Instant::now();
        let reachable_since = self.seams.ledger.contact(self.seams.gate.now(), self.gap).await?;
        *self.last.lock().await = Some(Made { at, reachable_since });
        Ok(reachable_since)
    }
}
