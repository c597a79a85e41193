//! Brings verdicts to the gate, and then to the watchers.

use std::collections::HashSet;

use futures_util::future::join_all;
use sale::id::RoundId;
use sale::outcome::Outcome;
use store::Seams;
use store::gate::{GateError, Slot};

use crate::decide::{SlotVerdicts, Verdicts};

/// Settles.
#[derive(Clone)]
pub(crate) struct Settler {
    seams: Seams,
}

impl Settler {
    pub(crate) fn new(seams: Seams) -> Self {
        Self { seams }
    }

    /// Settles each slot, then publishes the outcomes of those that are settled. Answers the
    /// slots for which both were done.
    pub(crate) async fn settle(&self, verdicts: Verdicts) -> HashSet<Slot> {
        let slots = verdicts.0.into_iter();
        let settled = join_all(slots.map(|(slot, verdicts)| self.settle_slot(slot, verdicts)));
        let (slots, outcomes): (HashSet<_>, Vec<_>) = settled.await.into_iter().flatten().unzip();
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        if outcomes.is_empty() {
            return slots;
        }
        match self.seams.log.publish_outcomes(outcomes).await {
            Ok(()) => slots,
            Err(error) => {
                tracing::warn!(%error, "outcomes could not be published");
                HashSet::new()
            }
        }
    }

    async fn settle_slot(
        &self,
        slot: Slot,
        verdicts: SlotVerdicts,
    ) -> Option<(Slot, Vec<Outcome>)> {
        let SlotVerdicts { settlements, outcomes, decided } = verdicts;
        match self.seams.gate.settle(slot, &settlements, &decided).await {
            Ok(()) => Some((slot, outcomes)),
            Err(GateError::NotWarm(_)) if self.is_retired(slot.round).await => {
                Some((slot, outcomes))
            }
            Err(
                error @ (GateError::NotWarm(_) | GateError::Unavailable(_) | GateError::NotKnown),
            ) => {
                tracing::warn!(
                    round = slot.round.0,
                    %error,
                    "the gate could not take verdicts in; it will be told again"
                );
                None
            }
        }
    }

    /// Whether the ledger alone answers for a round. If the ledger cannot say, it is not taken
    /// to be so.
    async fn is_retired(&self, round: RoundId) -> bool {
        match self.seams.ledger.sale_of(round).await {
            Ok(sale) => sale.is_some_and(|sale| sale.retired),
            Err(_) => false,
        }
    }
}
