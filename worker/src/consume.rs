//! The consuming loop: orders -> ledger -> gate -> outcomes, then acknowledged.
//!
//! A fence says that the orders before it are decided, so the ledger is told of it after those of
//! the take it came with.
//!
//! While one take is being settled the next one is being decided; there are never more than
//! these two. While an engine is away they wait for it in hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sale::fence::Fence;
use sale::id::BatchId;
use store::gate::Slot;
use store::log::{Delivery, Log, LogError, Orders};
use store::stage::{self, Stage};
use tokio::task::JoinSet;

use crate::breaker::{Away, Breaker, Engine, Unanswered};
use crate::decide::{Decider, SlotVerdicts, Verdicts};
use crate::metric;
use crate::rounds::Walked;
use crate::run::Stop;
use crate::settle::Settler;

/// Before a receiver that failed is made anew.
const RECEIVE_AGAIN: Duration = Duration::from_secs(1);

/// Consumes orders.
pub(crate) struct Consumer {
    pub(crate) log: Log,
    pub(crate) decider: Arc<Decider>,
    pub(crate) settler: Settler,
    pub(crate) breaker: Arc<Breaker>,
    /// What the keeper of rounds saw last.
    pub(crate) walked: Arc<Walked>,
    pub(crate) together: usize,
    pub(crate) silent_after: Duration,
    pub(crate) stop: Stop,
}

impl Consumer {
    /// Consumes until the stop. A receiver that fails, or hears nothing while orders wait, is
    /// made anew.
    pub(crate) async fn run(self: Arc<Self>) {
        while !self.stop.was_asked() {
            let receive = || async { self.log.orders().await.map_err(|e| Away(e.to_string())) };
            let Some(orders) = self.breaker.answered(Engine::Log, receive).await else { return };
            if let Err(error) = self.consume(orders).await {
                tracing::warn!(%error, "orders are not received any more; receiving anew");
                self.stop.pause(RECEIVE_AGAIN).await;
            }
        }
    }

    async fn consume(&self, mut orders: Orders) -> Result<(), LogError> {
        let mut settling = Settling::default();
        loop {
            tokio::select! {
                biased;
                Some(settled) = settling.end() => acknowledge(&mut orders, settled).await?,
                () = self.stop.asked() => break,
                taken = orders.next(self.together) => {
                    let deliveries = self.of_this_install(&mut orders, taken?).await?;
                    let (batches, fences): (Vec<_>, Vec<_>) =
                        deliveries.into_iter().partition(|delivery| delivery.batch().is_some());
                    self.note(&batches);
                    let verdicts = tokio::select! {
                        verdicts = self.decide(&batches, &fences) => verdicts,
                        () = self.stop.overdue() => None,
                    };
                    while let Some(settled) = settling.end().await {
                        acknowledge(&mut orders, settled).await?;
                    }
                    match verdicts {
                        Some(verdicts) => {
                            orders.ack(fences).await?;
                            settling.begin(&self.settler, verdicts, batches);
                        }
                        None => give_back(&mut orders, batches.into_iter().chain(fences).collect()).await?,
                    }
                }
                () = self.silence(), if settling.is_idle() => {
                    metric::heard_nothing();
                    tracing::warn!(
                        undecided = self.walked.undecided(),
                        "orders wait in the outboxes and none is heard of; receiving anew"
                    );
                    break;
                }
            }
        }
        while let Some(settled) = settling.end().await {
            acknowledge(&mut orders, settled).await?;
        }
        Ok(())
    }

    /// Ends when nothing was heard for too long while orders wait to be decided.
    async fn silence(&self) {
        loop {
            tokio::time::sleep(self.silent_after).await;
            if self.walked.undecided() > 0 {
                return;
            }
        }
    }

    fn note(&self, batches: &[Delivery]) {
        let now = self.decider.seams.gate.now();
        for batch in batches.iter().filter_map(Delivery::batch) {
            stage::reached(Stage::Consumed, batch, now);
        }
    }

    /// Drops what belongs to another database: it must never be decided in this one.
    async fn of_this_install(
        &self,
        orders: &mut Orders,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Delivery>, LogError> {
        let install = self.decider.install();
        let (own, foreign): (Vec<_>, Vec<_>) =
            deliveries.into_iter().partition(|delivery| delivery.message.install() == install);
        if !foreign.is_empty() {
            tracing::warn!(messages = foreign.len(), "dropped orders of another database");
            orders.ack(foreign).await?;
        }
        Ok(own)
    }

    /// Has a take decided, and its fences passed after that; `None` if it is to be given back.
    pub(crate) async fn decide(
        &self,
        batches: &[Delivery],
        fences: &[Delivery],
    ) -> Option<Verdicts> {
        let batches: Vec<_> = batches.iter().filter_map(Delivery::batch).cloned().collect();
        let decided = async {
            let verdicts = self.decider.decide(&batches).await?;
            self.pass(fences).await?;
            Ok(verdicts)
        };
        match decided.await {
            Ok(verdicts) => Some(verdicts),
            Err(Unanswered::Stopped) => None,
            Err(Unanswered::Refused(error)) => {
                tracing::error!(error, "the ledger refused to decide; the orders come again");
                None
            }
        }
    }

    /// Whatever came before these fences and was not given back is decided: all takes before this
    /// one are, too.
    async fn pass(&self, fences: &[Delivery]) -> Result<(), Unanswered> {
        for fence in fences.iter().filter_map(Delivery::fence) {
            let Fence { round, incarnation, partition, .. } = *fence;
            let pass = || self.decider.seams.ledger.pass_fence(round, incarnation, partition);
            match self.breaker.of_ledger(pass).await {
                Ok(()) => {}
                // Who waits for it sends another.
                Err(Unanswered::Refused(error)) => {
                    tracing::error!(round = round.0, error, "the ledger refused a fence");
                }
                Err(Unanswered::Stopped) => return Err(Unanswered::Stopped),
            }
        }
        Ok(())
    }
}

/// The take that is being settled, if there is one.
#[derive(Default)]
struct Settling {
    task: JoinSet<HashSet<BatchId>>,
    in_hand: Vec<Delivery>,
}

/// The deliveries of one take, all done and not.
struct Settled {
    done: Vec<Delivery>,
    undone: Vec<Delivery>,
}

impl Settling {
    /// Begins with a take, after the one before has ended.
    fn begin(&mut self, settler: &Settler, verdicts: Verdicts, deliveries: Vec<Delivery>) {
        self.in_hand = deliveries;
        self.task.spawn(settle(settler.clone(), verdicts));
    }

    fn is_idle(&self) -> bool {
        self.task.is_empty()
    }

    /// Waits for the end of the take; `None` if there is none. Cancel safe.
    async fn end(&mut self) -> Option<Settled> {
        let done = self.task.join_next().await?.unwrap_or_else(|end| {
            metric::panicked();
            tracing::error!(error = %end, "settling panicked; these orders come again");
            HashSet::new()
        });
        let (done, undone) = std::mem::take(&mut self.in_hand)
            .into_iter()
            .partition(|delivery| delivery.batch().is_some_and(|batch| done.contains(&batch.id)));
        Some(Settled { done, undone })
    }
}

/// Answers the batches for which all is done: what became of the others of the same take does
/// not matter to them.
pub(crate) async fn settle(settler: Settler, verdicts: Verdicts) -> HashSet<BatchId> {
    let of_slot = |(slot, of): (&Slot, &SlotVerdicts)| {
        let slot = *slot;
        of.decided.iter().map(move |decided| (slot, decided.batch)).collect::<Vec<_>>()
    };
    let decided: Vec<_> = verdicts.0.iter().flat_map(of_slot).collect();
    let settled = settler.settle(verdicts).await;
    let settled = |(slot, batch): (Slot, BatchId)| settled.contains(&slot).then_some(batch);
    decided.into_iter().filter_map(settled).collect()
}

async fn acknowledge(orders: &mut Orders, settled: Settled) -> Result<(), LogError> {
    let Settled { done, undone } = settled;
    orders.ack(done).await?;
    give_back(orders, undone).await
}

async fn give_back(orders: &mut Orders, deliveries: Vec<Delivery>) -> Result<(), LogError> {
    if deliveries.is_empty() {
        return Ok(());
    }
    metric::gave_back(deliveries.len());
    orders.nack(deliveries).await
}
