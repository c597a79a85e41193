//! What the push role measures beside its requests, all of it. No label names a ticket, a buyer
//! or a sale.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Tells the recorder what these are.
pub(crate) fn describe() {
    store::stage::describe();
    describe_gauge!("dibs_push_sockets", "Open WebSockets.");
    describe_gauge!("dibs_push_watched", "Tickets that open streams watch.");
    describe_counter!(
        "dibs_push_closes_total",
        "WebSockets that ended, by the close code, or `peer` where the other side closed."
    );
    describe_histogram!("dibs_push_gate_read_size", "Tickets in one read of the gate.");
    describe_histogram!(
        "dibs_push_gate_read_seconds",
        Unit::Seconds,
        "Time of one read of the gate."
    );
    describe_counter!("dibs_push_gate_failures_total", "Reads that the gate did not answer.");
    describe_histogram!("dibs_push_ledger_read_size", "Tickets in one read of the ledger.");
    describe_histogram!(
        "dibs_push_ledger_read_seconds",
        Unit::Seconds,
        "Time of one read of the ledger."
    );
    describe_counter!(
        "dibs_push_ledger_reads_total",
        "Tickets that the ledger was asked for, by result: answered, failed, busy (not asked, \
         since too many wait)."
    );
    describe_counter!(
        "dibs_push_outcomes_total",
        "Outcomes that the feed brought, by whether anybody here watches the ticket: watched, \
         unwatched."
    );
    describe_counter!(
        "dibs_push_feed_failures_total",
        "Times that the feed of outcomes failed or could not be opened."
    );
    describe_counter!(
        "dibs_push_feed_gaps_total",
        "Times that the feed said it had missed something."
    );
    describe_counter!(
        "dibs_push_repairs_total",
        "Orders that a token brought back, by result: published, failed."
    );
}

/// Counts an open WebSocket as long as it lives.
pub(crate) struct Socket;

impl Socket {
    /// One was opened.
    pub(crate) fn opened() -> Self {
        metrics::gauge!("dibs_push_sockets").increment(1);
        Self
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        metrics::gauge!("dibs_push_sockets").decrement(1);
    }
}

/// A WebSocket ended with this code, or by its peer.
pub(crate) fn closed(code: Option<u16>) {
    let code = code.map_or("peer".into(), |code| code.to_string());
    metrics::counter!("dibs_push_closes_total", "code" => code).increment(1);
}

/// So many tickets are watched.
pub(crate) fn watched(tickets: usize) {
    metrics::gauge!("dibs_push_watched").set(tickets as f64);
}

/// One read of the gate.
pub(crate) fn gate_read(tickets: usize, answered: bool, took: Duration) {
    metrics::histogram!("dibs_push_gate_read_size").record(tickets as f64);
    metrics::histogram!("dibs_push_gate_read_seconds").record(took);
    if !answered {
        metrics::counter!("dibs_push_gate_failures_total").increment(1);
    }
}

/// One read of the ledger.
pub(crate) fn ledger_read(tickets: usize, answered: bool, took: Duration) {
    metrics::histogram!("dibs_push_ledger_read_size").record(tickets as f64);
    metrics::histogram!("dibs_push_ledger_read_seconds").record(took);
    ledger_reads(if answered { "answered" } else { "failed" }, tickets);
}

/// The ledger was not asked for a ticket, since too many wait.
pub(crate) fn ledger_busy() {
    ledger_reads("busy", 1);
}

fn ledger_reads(result: &'static str, tickets: usize) {
    metrics::counter!("dibs_push_ledger_reads_total", "result" => result).increment(tickets as u64);
}

/// The feed brought an outcome.
pub(crate) fn outcome(watched: bool) {
    let ticket = if watched { "watched" } else { "unwatched" };
    metrics::counter!("dibs_push_outcomes_total", "ticket" => ticket).increment(1);
}

/// The feed failed.
pub(crate) fn feed_failed() {
    metrics::counter!("dibs_push_feed_failures_total").increment(1);
}

/// The feed has missed something.
pub(crate) fn feed_gap() {
    metrics::counter!("dibs_push_feed_gaps_total").increment(1);
}

/// A token brought an order back, and the log took it or did not.
pub(crate) fn repaired(published: bool) {
    let result = if published { "published" } else { "failed" };
    metrics::counter!("dibs_push_repairs_total", "result" => result).increment(1);
}
