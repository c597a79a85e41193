//! Since when the engines have been within reach: waiting before that counts towards no deadline,
//! so that an outage rejects nobody.

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
    /// The same moment by the gate's clock, which also moves while this machine sleeps, and
    /// may be set.
    now: Timestamp,
    reachable_since: Timestamp,
}

impl Contact {
    pub(crate) fn new(seams: Seams, settings: &crate::Settings) -> Self {
        Self { seams, gap: settings.contact_gap, last: Mutex::new(None) }
    }

    /// Makes contact now, if all engines that an order passes are there. A failure needs no word
    /// here: it shows as the gap it leaves.
    pub(crate) async fn renew(&self) {
        let Seams { gate, log, .. } = &self.seams;
        let (gate, log) = tokio::join!(gate.probe(), log.probe());
        let away = gate.err().map(|error| error.to_string()).or(log.err().map(|it| it.to_string()));
        let made = match away {
            None => self.make().await.map(drop).map_err(|error| error.to_string()),
            Some(away) => Err(away),
        };
        if let Err(error) = made {
            tracing::debug!(error, "no contact with the engines");
        }
    }

    /// From when deadlines count. Asks the ledger if the last contact is too long ago to say.
    pub(crate) async fn deadline(&self) -> Result<DeadlineFrom, LedgerError> {
        let fresh = match &*self.last.lock().await {
            Some(made) if self.is_fresh(made) => Some(made.reachable_since),
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

    fn is_fresh(&self, made: &Made) -> bool {
        made.at.elapsed() < self.gap && self.seams.gate.now().since(made.now) < self.gap
    }

    async fn make(&self) -> Result<Timestamp, LedgerError> {
        let (at, now) = (Instant::now(), self.seams.gate.now());
        let reachable_since = self.seams.ledger.contact(now, self.gap).await?;
        *self.last.lock().await = Some(Made { at, now, reachable_since });
        Ok(reachable_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::Bench;

    #[tokio::test]
    async fn time_without_the_gate_is_no_contact_either() {
        let bench = Bench::new().await;
        let contact = Contact::new(bench.seams.clone(), &crate::Settings::default());
        contact.renew().await;
        assert!(contact.was_made().await);
        let contact = Contact::new(bench.seams.clone(), &crate::Settings::default());
        bench.seams.gate.close().await;
        contact.renew().await;
        assert!(!contact.was_made().await, "no order could get on");
    }

    #[tokio::test]
    async fn a_leap_of_the_gates_clock_is_time_without_the_ledger() {
        let bench = Bench::new().await;
        let contact = Contact::new(bench.seams.clone(), &crate::Settings::default());
        let long_ago = Timestamp::from_millis(1_000).unwrap();
        bench.seams.ledger.contact(long_ago, Duration::ZERO).await.unwrap();
        // As after an hour of sleep: to the monotonic clock the last contact is a moment ago.
        let asleep = Made { at: Instant::now(), now: long_ago, reachable_since: long_ago };
        *contact.last.lock().await = Some(asleep);
        let before = bench.seams.gate.now();
        assert!(contact.deadline().await.unwrap().reachable_since >= before);
    }
}
