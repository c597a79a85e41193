//! Foreign answer: nobody is shown a ticket that is not his.

use super::index::Index;
use super::shown::Reading;
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};

/// A ticket is whose the books say, else of the buyer who was shown it first.
pub(super) fn judge(
    reading: Reading<'_>,
    told: &Told<'_>,
    index: &Index<'_>,
    findings: &mut Findings,
) {
    let owner = index.find(told.id).map_or(&*told.buyer, |booked| booked.buyer);
    if **reading.buyer != *owner {
        findings.add(Violation {
            kind: Kind::ForeignAnswer,
            says: format!("shown a ticket of {owner}"),
            buyer: Some(reading.buyer.to_string()),
            ticket: Some(told.id),
            event: Some(reading.event),
        });
    }
}
