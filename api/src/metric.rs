//! What the API measures beside its requests, all of it. No label names a ticket, a buyer or a
//! sale.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use sale::grant::Answer;
use store::gate::{GateError, Grants};
use store::log::LogError;

/// Tells the recorder what these are.
pub(crate) fn describe() {
    store::stage::describe();
    describe_histogram!("dibs_api_grant_size", "Claims in one call of the gate.");
    describe_histogram!(
        "dibs_api_grant_seconds",
        Unit::Seconds,
        "Time of one call of the gate that grants, by result: answered, not_warm, recovering, \
         unavailable, not_known."
    );
    describe_counter!(
        "dibs_api_claims_total",
        "Claims, by the gate's answer: granted, standing, units_differ, not_open, closed, \
         limit_reached, sold_out, too_few_left, outbox_full; or unanswered; or queue_full, for \
         which the gate was not asked."
    );
    describe_gauge!("dibs_api_batches_waiting", "Granted batches that wait to be published.");
    describe_histogram!(
        "dibs_api_publish_seconds",
        Unit::Seconds,
        "Time until the log has taken a batch or refused it, by result: published, full, \
         too_large, unavailable."
    );
    describe_counter!(
        "dibs_api_batches_left_total",
        "Granted batches that were not published at once and left to the sweeper."
    );
    describe_counter!(
        "dibs_api_batches_sent_again_total",
        "Overdue batches that the sweeper published."
    );
    describe_gauge!("dibs_api_sales", "Sales in memory, by state: live, retired.");
    describe_counter!(
        "dibs_api_directory_reads_total",
        "Readings of the sales into memory, by result: read, failed."
    );
}

/// One call of the gate.
pub(crate) fn asked(claims: usize, grants: &Result<Grants, GateError>, took: Duration) {
    let result = match grants {
        Ok(_) => "answered",
        Err(GateError::NotWarm(_)) => "not_warm",
        Err(GateError::Recovering(_)) => "recovering",
        Err(GateError::Unavailable(_)) => "unavailable",
        Err(GateError::NotKnown) => "not_known",
    };
    metrics::histogram!("dibs_api_grant_size").record(claims as f64);
    metrics::histogram!("dibs_api_grant_seconds", "result" => result).record(took);
    match grants {
        Ok(grants) => {
            // Neighbours mostly have the same answer, and each step of a counter costs a look-up.
            for alike in grants.answers.chunk_by(|one, next| name(one) == name(next)) {
                claimed(name(&alike[0]), alike.len());
            }
        }
        Err(_) => claimed("unanswered", claims),
    }
}

/// A claim found its queue full.
pub(crate) fn queue_full() {
    claimed("queue_full", 1);
}

fn claimed(answer: &'static str, claims: usize) {
    metrics::counter!("dibs_api_claims_total", "answer" => answer).increment(claims as u64);
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Granted(_) => "granted",
        Answer::Standing(_) => "standing",
        Answer::UnitsDiffer(_) => "units_differ",
        Answer::NotOpen => "not_open",
        Answer::Closed => "closed",
        Answer::LimitReached(_) => "limit_reached",
        Answer::SoldOut => "sold_out",
        Answer::TooFewLeft(_) => "too_few_left",
        Answer::OutboxFull => "outbox_full",
    }
}

/// So many granted batches wait to be published.
pub(crate) fn waiting(batches: usize) {
    metrics::gauge!("dibs_api_batches_waiting").set(batches as f64);
}

/// The log was given a batch.
pub(crate) fn published(result: &Result<(), LogError>, took: Duration) {
    let result = match result {
        Ok(()) => "published",
        Err(LogError::Full) => "full",
        Err(LogError::TooLarge { .. }) => "too_large",
        Err(LogError::Unavailable(_)) => "unavailable",
    };
    metrics::histogram!("dibs_api_publish_seconds", "result" => result).record(took);
}

/// A granted batch was left to the sweeper.
pub(crate) fn left_to_the_sweeper() {
    metrics::counter!("dibs_api_batches_left_total").increment(1);
}

/// The sweeper published an overdue batch.
pub(crate) fn sent_again() {
    metrics::counter!("dibs_api_batches_sent_again_total").increment(1);
}

/// The sales were read into memory.
pub(crate) fn directory(live: usize, retired: usize) {
    metrics::counter!("dibs_api_directory_reads_total", "result" => "read").increment(1);
    metrics::gauge!("dibs_api_sales", "state" => "live").set(live as f64);
    metrics::gauge!("dibs_api_sales", "state" => "retired").set(retired as f64);
}

/// The sales could not be read.
pub(crate) fn directory_failed() {
    metrics::counter!("dibs_api_directory_reads_total", "result" => "failed").increment(1);
}
