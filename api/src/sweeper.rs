//! The sweeper: publishes again what has stayed in the outbox for too long.

use std::sync::Arc;

use store::gate::{Gate, GateError, Slot};
use store::log::Log;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::publisher::publish;
use crate::settings::Settings;

/// Searches the outboxes of all live slots, again and again until `stop` fires.
pub(crate) async fn run(
    gate: Gate,
    log: Log,
    directory: Arc<Directory>,
    settings: Settings,
    stop: CancellationToken,
) {
    let mut ticks = interval(settings.sweep_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        for slot in directory.live_slots() {
            if stop.is_cancelled() {
                return;
            }
            if !sweep(&gate, &log, slot, &settings).await {
                break;
            }
        }
    }
}

/// Sends one slot's overdue batches. Answers whether to go on with the next slot: with a log
/// that takes nothing it is in vain, and the gate hands the batches out again in time.
async fn sweep(gate: &Gate, log: &Log, slot: Slot, settings: &Settings) -> bool {
    let overdue = match gate.resend(slot, settings.sweep_most).await {
        Ok(overdue) => overdue,
        // The keeper loads it; until then it has no outbox.
        Err(GateError::NotWarm(_)) => return true,
        Err(error @ (GateError::Unavailable(_) | GateError::NotKnown)) => {
            tracing::debug!(round = %slot.round, %error, "an outbox could not be searched");
            return false;
        }
    };
    for batch in overdue {
        if let Err(error) = publish(log, batch, settings.call_within).await {
            tracing::debug!(round = %slot.round, %error, "overdue batches wait for their next turn");
            return false;
        }
        metrics::counter!("dibs_batches_sent_again_total").increment(1);
    }
    true
}
