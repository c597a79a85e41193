//! No answer: an order is rejected for its deadline only after it had its time.

use std::time::Duration;

use sale::status::{Reason, Status};

use super::index::Index;
use super::shown::Shown;
use super::verdict::{Findings, Kind, Violation};

/// Compares when a ticket was decided with when it was granted, where it is known how long it had.
pub(super) fn judge(
    shown: &Shown<'_>,
    index: &Index<'_>,
    buyer: &str,
    event: Option<u64>,
    findings: &mut Findings,
) {
    let Some(had) = index.books.answer_within_ms.map(Duration::from_millis) else { return };
    if shown.status != Status::Rejected(Reason::Deadline) {
        return;
    }
    let after = shown.decided_at.map_or(Duration::ZERO, |at| at.since(shown.granted_at));
    if after < had {
        findings.add(Violation {
            kind: Kind::NoAnswer,
            says: format!("rejected for its deadline {after:?} after its grant, it had {had:?}"),
            buyer: Some(buyer.to_owned()),
            ticket: Some(shown.id),
            event,
        });
    }
}
