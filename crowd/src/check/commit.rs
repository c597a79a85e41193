//! Yours before the commit: who is told "confirmed" is in the ledger by then.

use std::collections::HashMap;

use sale::id::TicketId;
use sale::status::Status;

use super::index::Index;
use super::told::Told;
use super::verdict::{Findings, Kind, Violation};

/// Looks into the ledger that found no confirmed ticket: for each ticket when the last of them was
/// asked, and the number of that event.
#[derive(Debug, Default)]
pub(super) struct Looks(HashMap<TicketId, (u64, u64)>);

impl Looks {
    /// Somebody looked at this moment, and found this.
    pub(super) fn take(&mut self, ticket: TicketId, asked: u64, found: Option<Status>, event: u64) {
        if found != Some(Status::Confirmed) {
            let last = self.0.entry(ticket).or_insert((asked, event));
            *last = (*last).max((asked, event));
        }
    }

    /// A look after "yours" found nothing, or the books have no such confirmed ticket.
    pub(super) fn judge(&self, told: &Told<'_>, index: &Index<'_>, findings: &mut Findings) {
        let Some(yours) = told.confirmed() else { return };
        let mut early = |says, event| {
            findings.add(Violation {
                kind: Kind::YoursBeforeCommit,
                says,
                buyer: Some(told.buyer.to_string()),
                ticket: Some(told.id),
                event: Some(event),
            });
        };
        if let Some((asked, event)) =
            self.0.get(&told.id).filter(|(asked, _)| *asked > yours.first_at)
        {
            let told =
                format!("told to be confirmed at {} µs (event {})", yours.first_at, yours.event);
            early(format!("{told}, not confirmed in the ledger at {asked} µs"), *event);
        }
        let booked = index.find(told.id).map(|booked| booked.shown.status);
        if booked != Some(Status::Confirmed) {
            let in_the_end = "told to be confirmed, and in the end not confirmed in the ledger";
            early(in_the_end.to_owned(), yours.event);
        }
    }
}
