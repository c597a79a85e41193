//! What the worker does about orders that failed and rounds that are over.

use std::time::Duration;

use super::parse::{self, DAY, MINUTE};
use super::setting::section;

section! {
    /// Retries and the end of a round.
    Rounds in "Worker" {
        /// How often orders that failed are searched for those whose next try is due.
        retry_every: Duration = Plain("500ms"), "DURATION", parse::duration(10..=MINUTE);
        /// How often rounds are looked after: loaded into the gate, given new terms, retired.
        tend_every: Duration = Plain("1s"), "DURATION", parse::duration(10..=MINUTE);
        /// How long a closed and decided sale stays in the gate.
        retire_after: Duration = Plain("10m"), "DURATION", parse::duration(0..=30 * DAY);
    }
}
