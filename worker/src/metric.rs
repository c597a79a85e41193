//! What the worker measures, all of it. No label names a ticket, a buyer or a sale.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use sale::status::Status;
use sale::time::Timestamp;
use store::gate::Figures;
use store::ledger::Decision;

/// What the keeper changes of rounds.
const CHANGES: [&str; 5] = ["loaded", "retired", "settled_anew", "recovering", "rebuilt"];

/// Tells the recorder what these are. What alerts watch is there from the start, so that the first
/// event is seen as an increase.
pub(crate) fn describe() {
    store::stage::describe();
    metrics::counter!("dibs_worker_orders_total", "verdict" => "foreign").increment(0);
    metrics::counter!("dibs_worker_panics_total").increment(0);
    for change in CHANGES {
        metrics::counter!("dibs_worker_rounds_total", "change" => change).increment(0);
    }
    describe_histogram!(
        "dibs_worker_decide_seconds",
        Unit::Seconds,
        "Time of one call of the ledger that decides orders."
    );
    describe_histogram!("dibs_worker_decide_size", "Orders in one call of the ledger.");
    describe_counter!(
        "dibs_worker_orders_total",
        "Orders decided, by verdict: confirmed, the reason of a rejection, standing (decided \
         before), foreign, failed."
    );
    describe_counter!(
        "dibs_worker_set_aside_total",
        "Orders that failed on their own and were set aside, by reason: refused, panicked."
    );
    describe_counter!(
        "dibs_worker_retries_total",
        "Tries of orders that were set aside, by result: decided, refused, panicked."
    );
    describe_gauge!(
        "dibs_worker_parked",
        "Orders that wait for an operator, by reason: refused, panicked. Every worker reports \
         all of them, at most 1000."
    );
    describe_gauge!(
        "dibs_worker_paused",
        "1 while orders wait because an engine is away, by engine: gate, log, ledger."
    );
    describe_counter!(
        "dibs_worker_given_back_total",
        "Batches and fences that were given back to the log, to come again."
    );
    describe_counter!(
        "dibs_worker_receivers_total",
        "Receivers of orders that were made anew because they heard nothing while orders waited."
    );
    describe_counter!("dibs_worker_panics_total", "Tasks that panicked and were started again.");
    describe_counter!(
        "dibs_worker_rounds_total",
        "Rounds that were changed, by change: loaded into the gate when they were new, retired, \
         settled_anew because the gate had missed verdicts, recovering because the gate had lost \
         writes or disagreed, rebuilt after that."
    );
    describe_gauge!(
        "dibs_worker_recovering",
        "Live rounds whose gate is being rebuilt, and grants nothing. Every worker reports all of \
         them."
    );
    describe_gauge!(
        "dibs_worker_outbox_orders",
        "Orders that the outboxes of all live rounds hold: pending tickets on their way. Every \
         worker reports all of them."
    );
    describe_gauge!(
        "dibs_worker_outbox_oldest_seconds",
        "Age of the oldest of those orders. Every worker reports it."
    );
    describe_gauge!(
        "dibs_worker_units",
        "Units of all live rounds in the gate, by state: available, pending, confirmed. Every \
         worker reports all of them."
    );
}

/// Counts what one call of the ledger decided; `now` is the time the call was made with.
pub(crate) fn decided(decisions: &[Decision], now: Timestamp, took: Duration) {
    metrics::histogram!("dibs_worker_decide_seconds").record(took);
    metrics::histogram!("dibs_worker_decide_size").record(decisions.len() as f64);
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

/// What stands for the words of an engine about an order that made it panic.
pub(crate) const PANICKED: &str = "panicked";

/// Why an order failed, without the engine's own words, which may name the buyer.
fn reason(error: &str) -> &'static str {
    if error == PANICKED { PANICKED } else { "refused" }
}

/// An order was set aside, with what the engine said.
pub(crate) fn set_aside(error: &str) {
    metrics::counter!("dibs_worker_set_aside_total", "reason" => reason(error)).increment(1);
}

/// An order that was set aside was tried again and has its verdict, or failed with these words.
pub(crate) fn retried(failed: Option<&str>) {
    let result = failed.map_or("decided", reason);
    metrics::counter!("dibs_worker_retries_total", "result" => result).increment(1);
}

/// Orders wait for an operator, for which the engine said this.
pub(crate) fn parked<'a>(errors: impl Iterator<Item = &'a str>) {
    let mut counts = [("refused", 0_u32), (PANICKED, 0)];
    for error in errors {
        counts[usize::from(reason(error) == PANICKED)].1 += 1;
    }
    for (reason, count) in counts {
        metrics::gauge!("dibs_worker_parked", "reason" => reason).set(count);
    }
}

/// Whether orders wait because an engine is away.
pub(crate) fn paused(engine: &'static str, paused: bool) {
    let paused = if paused { 1 } else { 0 };
    metrics::gauge!("dibs_worker_paused", "engine" => engine).set(paused);
}

/// Deliveries were given back, to come again.
pub(crate) fn gave_back(deliveries: usize) {
    metrics::counter!("dibs_worker_given_back_total").increment(deliveries as u64);
}

/// A receiver of orders heard nothing while orders waited.
pub(crate) fn heard_nothing() {
    metrics::counter!("dibs_worker_receivers_total").increment(1);
}

/// A task panicked.
pub(crate) fn panicked() {
    metrics::counter!("dibs_worker_panics_total").increment(1);
}

/// What the keeper did with a round: `loaded` it into the gate, `retired` it, had its tickets
/// `settled_anew` because the gate had missed verdicts, or found it `recovering` and `rebuilt` it.
pub(crate) fn round(change: &'static str) {
    metrics::counter!("dibs_worker_rounds_total", "change" => change).increment(1);
}

/// Rounds recover.
pub(crate) fn recovering(rounds: usize) {
    metrics::gauge!("dibs_worker_recovering").set(rounds as f64);
}

/// What the gate holds of all live rounds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    available: i64,
    pending: u64,
    confirmed: u64,
    /// Orders in the outboxes.
    pub(crate) undecided: usize,
    oldest: Option<Timestamp>,
}

impl Held {
    /// Adds a round.
    pub(crate) fn add(&mut self, round: &Figures) {
        self.available += round.available;
        self.pending += round.held;
        self.confirmed += round.sold;
        self.undecided += round.undecided;
        self.oldest = [self.oldest, round.oldest].into_iter().flatten().min();
    }

    /// Tells it.
    pub(crate) fn tell(&self, now: Timestamp) {
        let age = self.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        metrics::gauge!("dibs_worker_outbox_orders").set(self.undecided as f64);
        metrics::gauge!("dibs_worker_outbox_oldest_seconds").set(age);
        let units =
            |state, units| metrics::gauge!("dibs_worker_units", "state" => state).set(units);
        units("available", self.available as f64);
        units("pending", self.pending as f64);
        units("confirmed", self.confirmed as f64);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn what_alerts_watch_is_there_before_it_happens() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, describe);
        let page = recorder.handle().render();
        for watched in [
            "dibs_worker_orders_total{verdict=\"foreign\"} 0",
            "dibs_worker_panics_total 0",
            "dibs_worker_rounds_total{change=\"recovering\"} 0",
        ] {
            assert!(page.lines().any(|line| line == watched), "{watched}: {page}");
        }
    }
}
