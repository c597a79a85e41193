//! Whose turn it is to rebuild a gate. It only saves work: whoever has lost a lease and whoever
//! has it do not harm each other.

use std::convert::Infallible;
use std::time::Duration;

use sale::id::RoundId;
use sale::time::Timestamp;
use store::Seams;
use store::ledger::{LedgerError, Sale, WorkerId};

/// This worker, and for how long it takes leases.
#[derive(Clone, Copy)]
pub(super) struct Lessee {
    me: WorkerId,
    pub(super) lease_for: Duration,
}

impl Lessee {
    pub(super) fn new(lease_for: Duration) -> Self {
        Self { me: WorkerId(rand::random()), lease_for }
    }

    /// Whether another worker has the lease of the round.
    pub(super) fn is_anothers(self, sale: &Sale, now: Timestamp) -> bool {
        sale.lease.is_some_and(|lease| lease.by != self.me && lease.holds(now, self.lease_for))
    }

    /// Takes or renews the lease; answers whether it is this worker's.
    pub(super) async fn take(self, seams: &Seams, round: RoundId) -> Result<bool, LedgerError> {
        let now = seams.gate.now();
        seams.ledger.lease(round, self.me, now, now.plus(self.lease_for)).await
    }

    /// Renews the lease while something takes long.
    pub(super) async fn keep(self, seams: &Seams, round: RoundId) -> Infallible {
        loop {
            tokio::time::sleep(self.lease_for / 3).await;
            if let Err(error) = self.take(seams, round).await {
                tracing::debug!(round = round.0, %error, "a lease was not renewed");
            }
        }
    }

    /// Gives the lease back: if not now, then it ends by itself.
    pub(super) async fn end(self, seams: &Seams, round: RoundId) {
        let _ = seams.ledger.end_lease(round, self.me).await;
    }
}
