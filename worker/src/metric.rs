//! What the worker counts. No label names a ticket, a buyer or a sale.

use std::time::Duration;

use sale::status::Status;
use sale::time::Timestamp;
use store::ledger::Decision;

/// Counts what one call of the ledger decided; `now` is the time the call was made with.
pub(crate) fn decided(decisions: &[Decision], now: Timestamp, took: Duration) {
    metrics::histogram!("dibs_worker_decide_seconds").record(took);
    for decision in decisions {
        let verdict = match decision {
            // A verdict of another time stood already.
            Decision::Stands { ticket, .. } if ticket.state.decided_at != Some(now) => "standing",
            Decision::Stands { ticket, .. } => match ticket.state.status {
                Status::Pending => "pending",
                Status::Confirmed => "confirmed",
                Status::Rejected(reason) => reason.name(),
            },
            Decision::Foreign(_) => "foreign",
            Decision::Failed(_, _) => "failed",
        };
        metrics::counter!("dibs_worker_orders_total", "verdict" => verdict).increment(1);
    }
}

/// Orders were set aside.
pub(crate) fn set_aside(orders: usize) {
    metrics::counter!("dibs_worker_set_aside_total").increment(orders as u64);
}

/// An order that was set aside was tried again.
pub(crate) fn retried(failed: bool) {
    let result = if failed { "failed" } else { "decided" };
    metrics::counter!("dibs_worker_retries_total", "result" => result).increment(1);
}

/// So many orders wait for an operator; the count stops at the size of one page.
pub(crate) fn parked(orders: usize) {
    metrics::gauge!("dibs_worker_parked").set(u32::try_from(orders).unwrap_or(u32::MAX));
}

/// Whether consumption is paused because the ledger is away.
pub(crate) fn paused(paused: bool) {
    metrics::gauge!("dibs_worker_paused").set(if paused { 1 } else { 0 });
}

/// Deliveries were given back, to come again.
pub(crate) fn gave_back(deliveries: usize) {
    metrics::counter!("dibs_worker_given_back_total").increment(deliveries as u64);
}

/// A task panicked.
pub(crate) fn panicked() {
    metrics::counter!("dibs_worker_panics_total").increment(1);
}

/// What the keeper did with a round: `loaded` it into the gate, `retired` it, or, because the
/// gate had missed verdicts, had its tickets `settled_anew`.
pub(crate) fn round(change: &'static str) {
    metrics::counter!("dibs_worker_rounds_total", "change" => change).increment(1);
}
