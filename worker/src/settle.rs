//! Brings verdicts to the gate, and then to the watchers.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use sale::id::RoundId;
use sale::outcome::Outcome;
use store::Seams;
use store::gate::{GateError, Slot};
use store::log::LogError;

use crate::breaker::{Away, Breaker, Engine};
use crate::decide::{SlotVerdicts, Verdicts};

/// Settles.
#[derive(Clone)]
pub(crate) struct Settler {
    seams: Seams,
    breaker: Arc<Breaker>,
}

impl Settler {
    pub(crate) fn new(seams: Seams, breaker: Arc<Breaker>) -> Self {
        Self { seams, breaker }
    }

    /// Settles each slot, then publishes the outcomes of those that are settled. Waits as long
    /// as the gate or the log is away. Answers the slots for which both were done.
    pub(crate) async fn settle(&self, verdicts: Verdicts) -> HashSet<Slot> {
        let slots = verdicts.0.into_iter();
        let settled = join_all(slots.map(|(slot, verdicts)| self.settle_slot(slot, verdicts)));
        let (slots, outcomes): (HashSet<_>, Vec<_>) = settled.await.into_iter().flatten().unzip();
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        if outcomes.is_empty() || self.publish(&outcomes).await { slots } else { HashSet::new() }
    }

    async fn settle_slot(
        &self,
        slot: Slot,
        verdicts: SlotVerdicts,
    ) -> Option<(Slot, Vec<Outcome>)> {
        let SlotVerdicts { settlements, outcomes, decided } = verdicts;
        let settle = || async {
            match self.seams.gate.settle(slot, &settlements, &decided).await {
                Ok(()) => Ok(true),
                Err(GateError::NotWarm(_)) => Ok(false),
                Err(
                    error @ (GateError::Recovering(_)
                    | GateError::Unavailable(_)
                    | GateError::NotKnown),
                ) => Err(Away(error.to_string())),
            }
        };
        let told = self.breaker.answered(Engine::Gate, settle).await?;
        if told || self.need_not_be_told(slot.round).await {
            return Some((slot, outcomes));
        }
        tracing::warn!(
            round = slot.round.0,
            "the gate does not have the round of these verdicts; it will be told again"
        );
        None
    }

    /// Answers whether the watchers were told, or never can be.
    async fn publish(&self, outcomes: &[Outcome]) -> bool {
        let publish = || async {
            match self.seams.log.publish_outcomes(outcomes.to_vec()).await {
                Ok(()) => Ok(()),
                Err(error @ LogError::TooLarge { .. }) => {
                    // They are a hint: who watches reads again by himself.
                    tracing::error!(%error, "outcomes could not be published");
                    Ok(())
                }
                Err(error @ (LogError::Full | LogError::Unavailable(_))) => {
                    Err(Away(error.to_string()))
                }
            }
        };
        self.breaker.answered(Engine::Log, publish).await.is_some()
    }

    /// Whether the gate of a round needs no word of verdicts that stand in the ledger: there will
    /// never be one, because the ledger alone answers for the round or has never heard of it, or
    /// it is yet to be loaded, from what stands in the ledger then. Given back, the messages of a
    /// round that recovers would come again and again, before the fence that it waits for. If the
    /// ledger cannot say, it is not taken to be so.
    async fn need_not_be_told(&self, round: RoundId) -> bool {
        match self.seams.ledger.sale_of(round).await {
            Ok(sale) => sale.is_none_or(|sale| sale.retired || !sale.loaded),
            Err(_) => false,
        }
    }
}
