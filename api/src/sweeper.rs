//! The sweeper: publishes again what has stayed in the outbox for too long.

use std::sync::Arc;

use sale::order::Batch;
use store::gate::{Gate, GateError, Slot};
use store::log::{Log, LogError};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::publisher::publish;
use crate::settings::Settings;

pub(crate) struct Sweeper {
    pub(crate) gate: Gate,
    pub(crate) log: Log,
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
            while !self.stop.is_cancelled() && self.sweep_all().await {}
        }
    }

    /// Takes a handful of each slot in turn. Answers whether there may be more.
    async fn sweep_all(&self) -> bool {
        let mut more = false;
        for slot in self.directory.live_slots() {
            match self.sweep(slot).await {
                Ok(full) => more |= full,
                Err(error) => {
                    // For every slot alike; what was handed out comes again.
                    tracing::debug!(%error, "overdue batches wait for their next turn");
                    return false;
                }
            }
        }
        more
    }

    async fn sweep(&self, slot: Slot) -> Result<bool, LogError> {
        let most = self.settings.sweep_most.max(1);
        let overdue = match self.gate.resend(slot, most).await {
            Ok(overdue) => overdue,
            // The keeper loads it; until then it has no outbox.
            Err(GateError::NotWarm(_)) => return Ok(false),
            Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => {
                tracing::debug!(round = %slot.round, %error, "an outbox was not searched");
                return Ok(false);
            }
        };
        let full = overdue.len() == most;
        for batch in overdue {
            self.send(batch).await?;
            metrics::counter!("dibs_batches_sent_again_total").increment(1);
        }
        Ok(full)
    }

    /// Publishes one batch. With a full log it waits for room: what is in hand was stamped as
    /// sent, and dropping it would delay it by a whole step.
    async fn send(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        loop {
            match publish(&self.log, batch.clone(), self.settings.call_within).await {
                Err(LogError::Full) if !self.stop.is_cancelled() => {
                    let pause = sleep(self.settings.sweep_every);
                    self.stop.run_until_cancelled(pause).await;
                }
                done => return done,
            }
        }
    }
}
