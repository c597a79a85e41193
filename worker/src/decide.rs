//! One round of deciding: the ledger decides, and what fails on its own is set aside.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use sale::id::{InstallId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::outcome::Outcome;
use sale::status::Reason;
use sale::time::Timestamp;
use store::Seams;
use store::gate::{Decided, Settlement, Slot};
use store::ledger::{Decision, LedgerError, Reached, isolated};
use store::stage::{self, Stage};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::breaker::{Breaker, Unanswered};
use crate::contact::Contact;
use crate::metric;

/// Has orders decided.
pub(crate) struct Decider {
    pub(crate) seams: Seams,
    pub(crate) contact: Arc<Contact>,
    breaker: Arc<Breaker>,
}

/// What the gate and the watchers are to be told of each slot.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(pub(crate) BTreeMap<Slot, SlotVerdicts>);

/// What was decided in one slot.
#[derive(Debug, Default)]
pub(crate) struct SlotVerdicts {
    pub(crate) settlements: Vec<Settlement>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Batches whose every order has a verdict or is set aside.
    pub(crate) decided: Vec<Decided>,
}

impl Decider {
    pub(crate) fn new(seams: Seams, contact: Arc<Contact>, breaker: Arc<Breaker>) -> Self {
        Self { seams, contact, breaker }
    }

    /// Has the orders of these batches decided, and those that fail set aside. Waits as long
    /// as the ledger is away; nothing is counted as a try meanwhile.
    pub(crate) async fn decide(&self, batches: &[Arc<Batch>]) -> Result<Verdicts, Unanswered> {
        let orders: Vec<_> = batches.iter().flat_map(|batch| batch.orders()).cloned().collect();
        let begun = self.seams.gate.now();
        let decisions = self.decide_orders(&orders, &Reached::of(batches)).await?;
        committed(batches, &decisions, begun, self.seams.gate.now());
        let mut verdicts = Verdicts::new(self.install(), &decisions);
        let mut done = done(&decisions);
        let failed: Vec<_> = decisions.into_iter().filter_map(failure).collect();
        if self.set_aside(&failed).await? {
            done.extend(failed.iter().map(|(order, _)| order.ticket));
        }
        for batch in batches {
            if batch.orders().iter().all(|order| done.contains(&order.ticket)) {
                let slot = Slot { round: batch.round(), shard: batch.shard() };
                verdicts.0.entry(slot).or_default().decided.push(Decided::from(&**batch));
            }
        }
        Ok(verdicts)
    }

    /// Has orders decided; one that fails comes back as such and is not set aside.
    pub(crate) async fn decide_orders(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
    ) -> Result<Vec<Decision>, Unanswered> {
        self.breaker.of_ledger(|| self.decide_once(orders, reached)).await
    }

    async fn decide_once(
        &self,
        orders: &[OrderV1],
        reached: &Reached,
    ) -> Result<Vec<Decision>, LedgerError> {
        // Asked for anew at every try: an outage moves it.
        let deadline = self.contact.deadline().await?;
        let now = self.seams.gate.now();
        let begun = Instant::now();
        // The ledger halves what its engine refuses; a panic ends that, too.
        let decisions = isolated(orders, |part| {
            let (ledger, part, reached) =
                (self.seams.ledger.clone(), part.to_vec(), reached.clone());
            unpanicked(async move { ledger.decide(&part, &reached, &deadline, now).await })
        })
        .await?;
        metric::decided(&decisions, now, begun.elapsed());
        Ok(decisions)
    }

    /// Has one order rejected.
    pub(crate) async fn reject(
        &self,
        order: &OrderV1,
        reason: Reason,
    ) -> Result<Decision, Unanswered> {
        let once = || async {
            let now = self.seams.gate.now();
            let begun = Instant::now();
            let (ledger, order) = (self.seams.ledger.clone(), order.clone());
            let rejected =
                unpanicked(async move { ledger.reject(&order, reason, now).await }).await?;
            metric::decided(std::slice::from_ref(&rejected), now, begun.elapsed());
            Ok(rejected)
        };
        self.breaker.of_ledger(once).await
    }

    /// Sets failed orders aside. Answers whether the ledger took them: if not, their batches
    /// stay undecided and come again.
    async fn set_aside(&self, failed: &[(OrderV1, String)]) -> Result<bool, Unanswered> {
        if failed.is_empty() {
            return Ok(true);
        }
        let set = || self.seams.ledger.set_aside(failed, self.seams.gate.now());
        match self.breaker.of_ledger(set).await {
            Ok(()) => {
                for (order, error) in failed {
                    metric::set_aside(error);
                    // What the engine said may name the buyer; it stands in the ledger.
                    tracing::warn!(ticket = %order.ticket, "an order failed and is set aside");
                }
                Ok(true)
            }
            Err(Unanswered::Refused(error)) => {
                tracing::error!(
                    orders = failed.len(),
                    error,
                    "orders failed and could not be set aside; their batches come again"
                );
                Ok(false)
            }
            Err(Unanswered::Stopped) => Err(Unanswered::Stopped),
        }
    }

    pub(crate) fn install(&self) -> InstallId {
        self.seams.ledger.install()
    }
}

impl Verdicts {
    /// Sorts decisions by their slots, with no batch decided.
    pub(crate) fn new(install: InstallId, decisions: &[Decision]) -> Self {
        let mut verdicts = Self::default();
        for decision in decisions {
            match decision {
                Decision::Stands { buyer, ticket } => {
                    let slot = verdicts.0.entry(Slot::of(ticket.id)).or_default();
                    slot.settlements.push(Settlement {
                        ticket: ticket.id,
                        buyer: buyer.clone(),
                        state: ticket.state,
                    });
                    slot.outcomes.push(Outcome { install, ticket: ticket.clone() });
                }
                // A foreign one has no verdict; the ledger has raised the alarm.
                Decision::Foreign(_) | Decision::Failed(_, _) => {}
            }
        }
        verdicts
    }
}

/// Notes the batches of which something was decided since `begun`, and not before.
fn committed(batches: &[Arc<Batch>], decisions: &[Decision], begun: Timestamp, now: Timestamp) {
    let fresh = |decision: &Decision| match decision {
        Decision::Stands { ticket, .. } => {
            ticket.state.decided_at.filter(|at| *at >= begun).map(|_| ticket.id)
        }
        Decision::Foreign(_) | Decision::Failed(_, _) => None,
    };
    let fresh: HashSet<_> = decisions.iter().filter_map(fresh).collect();
    for batch in batches {
        if batch.orders().iter().any(|order| fresh.contains(&order.ticket)) {
            stage::reached(Stage::Committed, batch, now);
        }
    }
}

fn done(decisions: &[Decision]) -> HashSet<TicketId> {
    let done = |decision: &Decision| match decision {
        Decision::Stands { ticket, .. } => Some(ticket.id),
        Decision::Foreign(ticket) => Some(*ticket),
        Decision::Failed(_, _) => None,
    };
    decisions.iter().filter_map(done).collect()
}

fn failure(decision: Decision) -> Option<(OrderV1, String)> {
    match decision {
        Decision::Failed(order, error) => Some((order, error)),
        Decision::Stands { .. } | Decision::Foreign(_) => None,
    }
}

/// Makes a call in a task of its own: a panic in it is an order that fails, not the end.
async fn unpanicked<T: Send + 'static>(
    call: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
) -> Result<T, LedgerError> {
    let mut task = JoinSet::new();
    task.spawn(call);
    match task.join_next().await {
        Some(Ok(answer)) => answer,
        Some(Err(end)) if end.is_panic() => {
            metric::panicked();
            Err(LedgerError::Refused(metric::PANICKED.into()))
        }
        Some(Err(_)) | None => Err(LedgerError::Unavailable("the call was dropped".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sale::id::{BuyerId, RoundId};
    use sale::units::Units;

    fn order(n: u8) -> OrderV1 {
        let mut id = [n; 16];
        id[..5].copy_from_slice(&[0, 0, 0, 7, 0]);
        OrderV1 {
            ticket: TicketId(id),
            buyer: BuyerId::new(&format!("buyer {n}")).unwrap(),
            units: Units::ONE,
            granted_at: Timestamp::from_millis(1_000).unwrap(),
            incarnation: 1,
        }
    }

    #[tokio::test]
    async fn an_order_that_makes_the_ledger_panic_fails_alone() {
        let orders: Vec<_> = (0..100).map(order).collect();
        let bad = order(42).ticket;
        let decisions = isolated(&orders, |part| {
            let part = part.to_vec();
            unpanicked(async move {
                assert!(part.iter().all(|order| order.ticket != bad), "this panic is meant");
                Ok(part.into_iter().map(|order| Decision::Foreign(order.ticket)).collect())
            })
        })
        .await
        .unwrap();
        assert_eq!(decisions.len(), 100);
        let failed: Vec<_> = decisions.into_iter().filter_map(failure).collect();
        assert_eq!(failed, [(order(42), metric::PANICKED.to_owned())]);
    }

    #[tokio::test]
    async fn a_ledger_that_is_away_fails_no_order() {
        let away = |_| async { Err(LedgerError::Unavailable("away".into())) };
        let decided = isolated(&[order(1), order(2)], away).await;
        assert!(matches!(decided, Err(LedgerError::Unavailable(_))));
    }

    #[test]
    fn verdicts_are_sorted_by_slot() {
        let foreign = Decision::Foreign(order(1).ticket);
        let failed = Decision::Failed(order(2), "no".into());
        let verdicts = Verdicts::new(InstallId([9; 16]), &[foreign, failed]);
        assert!(verdicts.0.is_empty(), "neither a foreign nor a failed order has a verdict");
        assert_eq!(Slot::of(order(1).ticket), Slot::first(RoundId(7)));
    }
}
