//! What can be set, with its defaults.

use std::time::Duration;

/// Sizes and times of the worker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Orders that are taken together into one transaction of the ledger; the last batch taken
    /// may exceed it.
    pub orders_together: usize,
    /// A receiver that has heard nothing for so long, while the outboxes are not empty, is made
    /// anew.
    pub silent_after: Duration,
    /// Between two looks for orders whose next try is due.
    pub retry_every: Duration,
    /// Orders taken up in one such look; the others are taken up in the next.
    pub retries_most: u32,
    /// Between two contacts with the ledger.
    pub contact_every: Duration,
    /// After so long without a contact, the ledger counts as having been away.
    pub contact_gap: Duration,
    /// The first pause after an engine was found away; each further one is twice as long.
    pub pause_least: Duration,
    /// The longest pause.
    pub pause_most: Duration,
    /// Between two walks of the live rounds.
    pub tend_every: Duration,
    /// Between two steps of a rebuild.
    pub recover_every: Duration,
    /// A worker that rebuilds a round and says nothing for so long is taken to be dead, and
    /// another takes over.
    pub lease_for: Duration,
    /// Fences that have not come back for so long are sent again; each further time it is twice
    /// as long.
    pub fence_again: Duration,
    /// A round is rebuilt when the ledger's counts of it have not moved for so long, after its
    /// fences are back and the outbox of its old gate is empty: other workers may have had orders
    /// of it in hand.
    pub still_for: Duration,
    /// The same when there is no old gate any more: longer than what was given back to the log
    /// takes to come again.
    pub still_without_gate: Duration,
    /// The first pause after a round could not be loaded; each further one is twice as long.
    pub build_again: Duration,
    /// A change of stock that is unfinished for so long is finished by the worker.
    pub restock_after: Duration,
    /// A round that has been closed for so long leaves the gate.
    pub retire_after: Duration,
    /// What was begun may take so long to finish after the stop.
    pub finish_within: Duration,
    /// How long an answer of [`crate::Worker::ready`] holds.
    pub probe_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            orders_together: 500,
            silent_after: Duration::from_secs(30),
            retry_every: Duration::from_millis(500),
            retries_most: 100,
            contact_every: Duration::from_secs(2),
            contact_gap: Duration::from_secs(10),
            pause_least: Duration::from_millis(100),
            pause_most: Duration::from_secs(5),
            tend_every: Duration::from_secs(1),
            recover_every: Duration::from_millis(100),
            lease_for: Duration::from_secs(5),
            fence_again: Duration::from_secs(5),
            still_for: Duration::from_secs(1),
            // What was given back comes again after 5 s.
            still_without_gate: Duration::from_secs(6),
            build_again: Duration::from_millis(500),
            restock_after: Duration::from_secs(3),
            retire_after: Duration::from_secs(600),
            finish_within: Duration::from_secs(5),
            probe_every: Duration::from_secs(1),
        }
    }
}
