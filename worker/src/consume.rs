//! The consuming loop: orders -> ledger -> gate -> outcomes, then acknowledged.
//!
//! While one take is being settled the next one is being decided; there are never more than
//! these two. Their settles may end in any order: states carry versions.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use store::gate::Slot;
use store::log::{Delivery, Log, LogError, Orders};
use tokio::task::{JoinError, JoinSet};

use crate::breaker::Unanswered;
use crate::decide::{Decider, Verdicts};
use crate::metric;
use crate::run::Stop;
use crate::settle::Settler;

/// Between two tries to receive orders.
const RECEIVE_AGAIN: Duration = Duration::from_secs(1);

/// Consumes orders.
pub(crate) struct Consumer {
    log: Log,
    decider: Arc<Decider>,
    settler: Settler,
    together: usize,
    stop: Stop,
}

/// The deliveries of one take, all done and not.
struct Settled {
    done: Vec<Delivery>,
    undone: Vec<Delivery>,
}

impl Consumer {
    pub(crate) fn new(
        log: Log,
        decider: Arc<Decider>,
        settler: Settler,
        settings: &crate::Settings,
        stop: Stop,
    ) -> Self {
        Self { log, decider, settler, together: settings.orders_together, stop }
    }

    /// Consumes until the stop. A log that fails is asked again.
    pub(crate) async fn run(self: Arc<Self>) {
        while !self.stop.was_asked() {
            let ended = match self.log.orders().await {
                Ok(orders) => self.consume(orders).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::warn!(%error, "orders cannot be received; trying again");
                self.stop.pause(RECEIVE_AGAIN).await;
            }
        }
    }

    async fn consume(&self, mut orders: Orders) -> Result<(), LogError> {
        let mut settling = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(settled) = settling.join_next() => {
                    acknowledge(&mut orders, settled).await?;
                }
                () = self.stop.asked() => break,
                taken = orders.next(self.together) => {
                    let deliveries = self.of_this_install(&mut orders, taken?).await?;
                    let verdicts = tokio::select! {
                        verdicts = self.decide(&deliveries) => verdicts,
                        () = self.stop.overdue() => None,
                    };
                    while let Some(settled) = settling.join_next().await {
                        acknowledge(&mut orders, settled).await?;
                    }
                    match verdicts {
                        Some(verdicts) => {
                            settling.spawn(settle(self.settler.clone(), verdicts, deliveries));
                        }
                        None => give_back(&mut orders, deliveries).await?,
                    }
                }
            }
        }
        while let Some(settled) = settling.join_next().await {
            acknowledge(&mut orders, settled).await?;
        }
        Ok(())
    }

    /// Drops what belongs to another database: it must never be decided in this one.
    async fn of_this_install(
        &self,
        orders: &mut Orders,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Delivery>, LogError> {
        let install = self.decider.install();
        let (own, foreign): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|delivery| delivery.batch.install == install);
        if !foreign.is_empty() {
            tracing::warn!(batches = foreign.len(), "dropped orders of another database");
            orders.ack(foreign).await?;
        }
        Ok(own)
    }

    /// `None` if these are to be given back.
    async fn decide(&self, deliveries: &[Delivery]) -> Option<Verdicts> {
        let batches: Vec<_> = deliveries.iter().map(|delivery| delivery.batch.clone()).collect();
        match self.decider.decide(&batches).await {
            Ok(verdicts) => Some(verdicts),
            Err(Unanswered::Stopped) => None,
            Err(Unanswered::Refused(error)) => {
                tracing::error!(error, "the ledger refused to decide; the orders come again");
                None
            }
        }
    }
}

async fn settle(settler: Settler, verdicts: Verdicts, deliveries: Vec<Delivery>) -> Settled {
    let decided: HashSet<_> = verdicts
        .0
        .values()
        .flat_map(|slot| slot.decided.iter().map(|decided| decided.batch))
        .collect();
    let settled = settler.settle(verdicts).await;
    let (done, undone) = deliveries.into_iter().partition(|Delivery { batch, .. }| {
        let slot = Slot { round: batch.round(), shard: batch.shard() };
        decided.contains(&batch.id) && settled.contains(&slot)
    });
    Settled { done, undone }
}

/// A settle that panicked has lost its deliveries: as after a crash, the outbox sends them
/// again.
async fn acknowledge(
    orders: &mut Orders,
    settled: Result<Settled, JoinError>,
) -> Result<(), LogError> {
    match settled {
        Ok(Settled { done, undone }) => {
            orders.ack(done).await?;
            give_back(orders, undone).await
        }
        Err(end) => {
            metric::panicked();
            tracing::error!(error = %end, "settling panicked; these orders come again");
            Ok(())
        }
    }
}

async fn give_back(orders: &mut Orders, deliveries: Vec<Delivery>) -> Result<(), LogError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    metric::gave_back(deliveries.len());
    orders.nack(deliveries).await
}
