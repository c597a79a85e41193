//! Bounds and times of a claim, from the request to the verdict.

use std::time::Duration;

use super::parse::{self, DAY, HOUR, MINUTE};
use super::setting::section;

section! {
    /// Claims, the gate's outbox, and how long an answer may take.
    Claims in "Claims" {
        /// How long an order of a new sale may wait for its verdict before it is rejected.
        answer_within: Duration = Plain("300s"), "DURATION", parse::duration(100..=DAY);
        /// How long a claim may take before it is answered "not known, ask again".
        claim_timeout: Duration = Plain("5s"), "DURATION", parse::duration(100..=MINUTE);
        /// Claims that wait for the gate, a sale. Beyond it a claim gets 503.
        queue_claims: usize = Plain("10000"), "N", parse::count(1..=1_000_000);
        /// Orders without a verdict that the gate holds, a sale. Beyond it a claim gets 503.
        outbox_orders: usize = Plain("200000"), "N", parse::count(1..=10_000_000);
        /// When a batch of orders without a verdict is sent to the worker again; doubles with
        /// each time.
        resend_after: Duration = Plain("5s"), "DURATION", parse::duration(10..=MINUTE);
        /// What that doubling ends at.
        resend_most: Duration = Plain("60s"), "DURATION", parse::duration(10..=HOUR);
        /// How often the outbox is searched for such batches.
        sweep_every: Duration = Plain("500ms"), "DURATION", parse::duration(10..=MINUTE);
    }
}

impl Claims {
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        (self.resend_most < self.resend_after)
            .then_some("resend_most is shorter than resend_after; it must be at least as long")
    }
}
