//! Orders that are set aside: tried again when their time has come, each alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use sale::id::TicketId;
use sale::time::Timestamp;
use store::ledger::{DeadlineFrom, Decision, LedgerError, Reached, Retry};
use tokio::sync::Mutex;

use crate::breaker::Unanswered;
use crate::decide::{Decider, Verdicts};
use crate::metric;
use crate::settle::Settler;

/// Orders set aside that one look at them takes into account; the parked ones beyond are not
/// counted.
const PAGE: u32 = 1000;

/// Tries failed orders again.
pub(crate) struct Retries {
    decider: Arc<Decider>,
    settler: Settler,
    most: u32,
    parked: Mutex<BTreeSet<TicketId>>,
}

impl Retries {
    pub(crate) fn new(decider: Arc<Decider>, settler: Settler, most: u32) -> Self {
        Self { decider, settler, most, parked: Mutex::new(BTreeSet::new()) }
    }

    /// Tries what is due now. A ledger that is away is nothing to report here: the next step
    /// finds the same orders due.
    pub(crate) async fn step(&self) {
        let due = async {
            let deadline = self.decider.contact.deadline().await?;
            self.try_due(&deadline, self.decider.seams.gate.now()).await?;
            self.look_at_parked().await
        };
        match due.await {
            Ok(()) => {}
            Err(LedgerError::Unavailable(error)) => {
                tracing::debug!(error, "orders set aside cannot be looked at now");
            }
            Err(LedgerError::Refused(error)) => {
                tracing::error!(error, "the ledger refuses to give orders that are set aside");
            }
        }
    }

    /// Tries each order that is due at `now`.
    pub(crate) async fn try_due(
        &self,
        deadline: &DeadlineFrom,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        for retry in self.decider.seams.ledger.take_due(deadline, now, self.most).await? {
            self.try_again(retry).await?;
        }
        Ok(())
    }

    async fn try_again(&self, Retry { order, reject }: Retry) -> Result<(), LedgerError> {
        let decided = match reject {
            Some(reason) => self.decider.reject(&order, reason).await.map(|one| vec![one]),
            None => {
                self.decider.decide_orders(std::slice::from_ref(&order), &Reached::default()).await
            }
        };
        let decisions = match decided {
            Ok(decisions) => decisions,
            Err(Unanswered::Refused(error)) => vec![Decision::Failed(order, error)],
            Err(Unanswered::Stopped) => return Ok(()),
        };
        // Should the gate not take it in, the keeper of rounds finds that it holds units for
        // a ticket that nothing is going to decide.
        self.settler.settle(Verdicts::new(self.decider.install(), &decisions)).await;
        for decision in decisions {
            match decision {
                Decision::Failed(order, error) => {
                    metric::retried(Some(&error));
                    tracing::warn!(ticket = %order.ticket, "an order set aside failed again");
                    self.decider.seams.ledger.note_failure(order.ticket, &error).await?;
                }
                Decision::Stands { .. } | Decision::Foreign(_) => metric::retried(None),
            }
        }
        Ok(())
    }

    /// Raises the alert, once for each order that is found parked.
    async fn look_at_parked(&self) -> Result<(), LedgerError> {
        let aside = self.decider.seams.ledger.aside(None, PAGE).await?;
        let parked: Vec<_> = aside.iter().filter(|row| row.retry_at.is_none()).collect();
        metric::parked(parked.iter().map(|row| row.error.as_str()));
        let parked: BTreeSet<_> = parked.into_iter().map(|row| row.order.ticket).collect();
        let mut known = self.parked.lock().await;
        for ticket in parked.difference(&known) {
            tracing::error!(
                %ticket,
                "an order could not be processed and is parked: resend it or reject it"
            );
        }
        *known = parked;
        Ok(())
    }
}
