//! The present state of a ticket, for one who may see it.

use std::sync::Arc;
use std::time::Duration;

use sale::ticket::Ticket;
use store::gate::Gate;
use tokio::time::timeout;

use crate::access::Viewer;
use crate::lookup::{Lookup, Reading};
use crate::reader::{Busy, Reader};
use crate::repair::Repair;

/// Why a ticket cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// There is no such ticket of this viewer.
    NotFound,
    /// Too many reads wait.
    Busy,
    /// The stores gave no answer.
    NoAnswer,
}

/// Reads tickets, and brings lost ones back.
pub(crate) struct Present {
    pub(crate) gate: Gate,
    pub(crate) lookup: Arc<Lookup>,
    pub(crate) reader: Reader,
    pub(crate) repair: Repair,
    pub(crate) overdue_after: Duration,
    pub(crate) verdict_within: Duration,
}

impl Present {
    /// The ticket, by a read that is sent after this call, for one who says to have `seen` this
    /// version of it. A gate that was set back, or was away when the verdict came, shows less than
    /// somebody has seen until it is told, so that the ledger is asked too: for who says what he
    /// has seen, and for whatever is pending for longer than a verdict takes.
    pub(crate) async fn read(&self, viewer: &Viewer, seen: u32) -> Result<Ticket, NotShown> {
        let asked = (viewer.ticket(), viewer.buyer().clone());
        let busy = |Busy| NotShown::Busy;
        let mut reading = self.reader.read(asked.clone()).await.map_err(busy)?;
        if let Reading::Known(Ticket { state, .. }) = &reading {
            if state.version < seen {
                match self.reader.read_ledger(asked).await.map_err(busy)? {
                    Reading::Unknown | Reading::Undecided => {}
                    told @ (Reading::Known(_) | Reading::NoAnswer) => reading = told,
                }
            } else if state.is_overdue(self.overdue_after, self.gate.now())
                // Without the ledger it stays pending.
                && let verdict = self.reader.read_ledger(asked)
                && let Ok(Ok(decided @ Reading::Known(_))) = timeout(self.verdict_within, verdict).await
            {
                reading = decided;
            }
        }
        self.show(viewer, reading).await
    }

    /// The tickets of many viewers, for one patient caller.
    pub(crate) async fn read_all(&self, viewers: &[Viewer]) -> Vec<Result<Ticket, NotShown>> {
        let asked: Vec<_> =
            viewers.iter().map(|viewer| (viewer.ticket(), viewer.buyer().clone())).collect();
        let readings = self.reader.read_all(&asked).await;
        let mut tickets = Vec::with_capacity(viewers.len());
        for (viewer, reading) in viewers.iter().zip(readings) {
            tickets.push(self.show(viewer, reading).await);
        }
        tickets
    }

    /// A token that verifies is never "not found": a ticket without a verdict is answered from
    /// the token's own order, as pending. What may be decided is not, so that no version is ever
    /// followed by a lower one.
    async fn show(&self, viewer: &Viewer, reading: Reading) -> Result<Ticket, NotShown> {
        let order = match (reading, viewer) {
            (Reading::Known(ticket), _) => return Ok(ticket),
            (Reading::Unknown, Viewer::Buyer { .. }) => return Err(NotShown::NotFound),
            (Reading::Undecided, Viewer::Buyer { .. }) | (Reading::NoAnswer, _) => {
                return Err(NotShown::NoAnswer);
            }
            (Reading::Undecided, Viewer::Token(order)) => order,
            (Reading::Unknown, Viewer::Token(order)) => {
                self.repair.bring_back(order, self.gate.now());
                order
            }
        };
        let sale = self.lookup.sale_of(order.ticket.round()).await.ok_or(NotShown::NoAnswer)?;
        Ok(Ticket { id: order.ticket, sale, state: order.pending() })
    }
}
