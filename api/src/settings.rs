//! The numbers of the claim path. Plain data: the defaults are the product's, tests shorten
//! them. A bound of 0 counts as 1, save for `lookups`.

use std::time::Duration;

/// Durations and bounds of everything that this crate runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Claims that wait in the queue of one slot. At the bound a claim is refused at once with
    /// `busy`.
    pub claims_queued: usize,
    /// The most claims in one call of the gate; the others wait for the next.
    pub claims_a_call: usize,
    /// Calls of the gate that may be in flight for one slot; meanwhile its claims queue up.
    pub calls_in_flight: usize,
    /// A claim in the batcher, waiting included; before that, looking for a sale that is not in
    /// memory. After it the claim is answered `not-known`; the call goes on, and a retry finds
    /// what it granted.
    pub claim_within: Duration,
    /// One call of the log. After it the batch is left to the sweeper.
    pub publish_within: Duration,
    /// Batches that wait to be published. At the bound a batch is left to the sweeper.
    pub batches_queued: usize,
    /// Batches that are being published at one time; as many again by the sweeper.
    pub batches_in_flight: usize,
    /// How often the outboxes are searched for batches that are overdue.
    pub sweep_every: Duration,
    /// The most overdue batches of one slot that are taken in hand at one time.
    pub sweep_most: usize,
    /// How often the sales in memory are read again from ledger and gate.
    pub refresh_every: Duration,
    /// The least time between two readings for the sake of sales that are not in memory.
    pub refresh_gap: Duration,
    /// The most sales in memory: those that are not retired first, then the newest. Buyers
    /// know of no others.
    pub sales_most: u32,
    /// The most sales in the public list, in the same order.
    pub sales_listed: usize,
    /// From which age on a ticket that the gate has as pending is looked up in the ledger too,
    /// when it is claimed again.
    pub overdue_after: Duration,
    /// How long such a claim waits for the ledger before it is answered as the gate has it.
    pub verdict_within: Duration,
    /// Retries that ask the ledger at one time. At the bound a further one on a retired round is
    /// refused with `busy`, and one on a live round is answered as the gate has it.
    pub lookups: usize,
    /// How long an order may wait for its verdict: a term of every sale created here.
    pub answer_within: Duration,
    /// How often the path of a grant is tried, for readiness.
    pub probe_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            claims_queued: 10_000,
            claims_a_call: 512,
            calls_in_flight: 2,
            claim_within: Duration::from_secs(5),
            publish_within: Duration::from_secs(2),
            batches_queued: 4096,
            batches_in_flight: 32,
            sweep_every: Duration::from_millis(500),
            sweep_most: 128,
            refresh_every: Duration::from_secs(1),
            refresh_gap: Duration::from_millis(250),
            sales_most: 10_000,
            sales_listed: 1000,
            overdue_after: Duration::from_millis(250),
            verdict_within: Duration::from_secs(1),
            lookups: 256,
            answer_within: Duration::from_secs(300),
            probe_every: Duration::from_secs(1),
        }
    }
}
