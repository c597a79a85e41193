//! The sweeper: publishes again what has stayed in the outbox for too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use sale::order::Batch;
use store::gate::{Gate, GateError, Slot};
use store::log::LogError;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::metric;
use crate::publisher::Outlet;
use crate::settings::Settings;

/// Outboxes that are searched at one time.
const SEARCHES: usize = 4;

pub(crate) struct Sweeper {
    pub(crate) gate: Gate,
    pub(crate) outlet: Outlet,
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: Settings,
    pub(crate) stop: CancellationToken,
}

impl Sweeper {
    /// Searches the outboxes of all live slots, again and again until `stop` fires.
    pub(crate) async fn run(self) {
        let mut ticks = interval(self.settings.sweep_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            while !self.stop.is_cancelled() && self.sweep().await {}
        }
    }

    /// Takes a handful of each slot. Answers whether there may be more. No more is taken in
    /// hand than the log accepts.
    async fn sweep(&self) -> bool {
        let more = AtomicBool::new(false);
        stream::iter(self.directory.opened_slots())
            .map(|slot| self.overdue(slot, &more))
            .buffer_unordered(SEARCHES)
            .flat_map(stream::iter)
            .for_each_concurrent(self.settings.batches_in_flight.max(1), |batch| self.send(batch))
            .await;
        more.into_inner()
    }

    async fn overdue(&self, slot: Slot, more: &AtomicBool) -> Vec<Arc<Batch>> {
        let most = self.settings.sweep_most.max(1);
        match self.gate.resend(slot, most).await {
            Ok(overdue) => {
                more.fetch_or(overdue.len() == most, Ordering::Relaxed);
                overdue
            }
            // The keeper loads it; until then it has no outbox.
            Err(GateError::NotWarm(_)) => Vec::new(),
            Err(
                error
                @ (GateError::Recovering(_) | GateError::Unavailable(_) | GateError::NotKnown),
            ) => {
                tracing::debug!(round = %slot.round, %error, "an outbox was not searched");
                Vec::new()
            }
        }
    }

    /// Publishes one batch. With a full or absent log it waits: what is in hand was stamped as
    /// sent, and dropping it would delay it by a whole step.
    async fn send(&self, batch: Arc<Batch>) {
        loop {
            match self.outlet.publish(batch.clone()).await {
                Ok(()) => return metric::sent_again(),
                Err(LogError::Full | LogError::Unavailable(_)) => {
                    let pause = sleep(self.settings.sweep_every);
                    if self.stop.run_until_cancelled(pause).await.is_none() {
                        return;
                    }
                }
                Err(error @ LogError::TooLarge { .. }) => {
                    let (round, batch) = (batch.round(), batch.id);
                    tracing::error!(%round, %batch, %error, "a batch cannot be published");
                    return;
                }
            }
        }
    }
}
