//! The stages that a ticket passes, timed from its grant by the gate's clock.
//!
//! A ticket travels in its batch, so each stage is told a batch, in an event at debug level of
//! the target `stage`: the events that name one batch are its trace, in whatever process they
//! stand. At trace level the batch's tickets are named too, once, when it is granted.

use std::time::Duration;

use sale::id::TicketId;
use sale::order::Batch;
use sale::time::Timestamp;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The gate's answer has arrived.
    Granted,
    /// The log has the batch. One that is sent again passes it again, as it does the next.
    Published,
    /// A worker has the batch in hand.
    Consumed,
    /// The ledger has committed the verdicts.
    Committed,
    /// A final result has left for somebody who waited for it.
    Sent,
}

impl Stage {
    /// Its name in labels and fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Published => "published",
            Self::Consumed => "consumed",
            Self::Committed => "committed",
            Self::Sent => "sent",
        }
    }
}

/// Tells the recorder what is measured here. Every role does so.
pub fn describe() {
    metrics::describe_histogram!(
        "dibs_stage_seconds",
        metrics::Unit::Seconds,
        "Time from a ticket's grant until it reached a stage, by stage: granted, published, \
         consumed, committed, sent."
    );
}

/// All tickets of a batch have reached a stage.
pub fn reached(stage: Stage, batch: &Batch, now: Timestamp) {
    let since = now.since(batch.granted_at());
    let orders = batch.orders().len();
    measured(stage, since, orders);
    let (stage, batch_id, since_grant_ms) = (stage.name(), batch.id, millis(since));
    tracing::debug!(target: "stage", stage, batch = %batch_id, orders, since_grant_ms);
    if stage == Stage::Granted.name() && tracing::enabled!(target: "stage", tracing::Level::TRACE) {
        for order in batch.orders() {
            tracing::trace!(target: "stage", batch = %batch_id, ticket = %order.ticket);
        }
    }
}

/// The final result of one ticket has left for somebody who waited for it.
pub fn sent(ticket: TicketId, granted_at: Timestamp, now: Timestamp) {
    let since = now.since(granted_at);
    measured(Stage::Sent, since, 1);
    let (stage, since_grant_ms) = (Stage::Sent.name(), millis(since));
    tracing::debug!(target: "stage", stage, %ticket, since_grant_ms);
}

fn measured(stage: Stage, since: Duration, tickets: usize) {
    let histogram = metrics::histogram!("dibs_stage_seconds", "stage" => stage.name());
    histogram.record_many(since, tickets);
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
