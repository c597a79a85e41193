//! Rounds that are over: retired in the ledger first, then forgotten by the gate.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sale::id::RoundId;
use sale::terms::Phase;
use sale::time::Timestamp;
use store::Seams;
use store::gate::Figures;
use store::ledger::Sale;

use super::Trouble;
use super::astray::set_aside_of;
use crate::metric;

/// Retires rounds.
pub(super) struct Retiring {
    after: Duration,
    /// Since when a round has been seen closed by hand.
    closed_since: HashMap<RoundId, Timestamp>,
    /// Retired rounds that the gate does not have any more.
    gone: HashSet<RoundId>,
}

impl Retiring {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, closed_since: HashMap::new(), gone: HashSet::new() }
    }

    pub(super) fn retain(&mut self, live: &HashSet<RoundId>, retired: &HashSet<RoundId>) {
        self.closed_since.retain(|round, _| live.contains(round));
        self.gone.retain(|round| retired.contains(round));
    }

    /// Retires a round in which nothing is pending, if it has been closed for long enough,
    /// nothing of it is set aside, and gate and ledger agree. The ledger's counts are read
    /// after the gate's: in a closed round with nothing pending they move only by a late order
    /// that a read sent again, and then the next walk looks anew.
    pub(super) async fn retire(
        &mut self,
        seams: &Seams,
        sale: &Sale,
        gate: Figures,
    ) -> Result<(), Trouble> {
        if !self.is_long_closed(sale, seams.gate.now()) {
            return Ok(());
        }
        let Some(ledger) = seams.ledger.counts(sale.round).await? else { return Ok(()) };
        if !set_aside_of(seams, sale.round).await?.is_empty() {
            return Ok(());
        }
        let agree =
            gate.available == i64::from(ledger.available) && gate.sold == u64::from(ledger.sold());
        if !agree {
            return Err(Trouble::Disagree { gate: Box::new(gate), ledger });
        }
        if !seams.ledger.retire(sale.round).await? {
            return Ok(());
        }
        metric::round("retired");
        tracing::info!(round = sale.round.0, "retired a round: the ledger alone answers for it");
        self.leave_gate(seams, sale.round).await
    }

    /// Has the gate forget a retired round, once.
    pub(super) async fn leave_gate(
        &mut self,
        seams: &Seams,
        round: RoundId,
    ) -> Result<(), Trouble> {
        if !self.gone.contains(&round) {
            seams.gate.retire(round).await?;
            self.gone.insert(round);
        }
        Ok(())
    }

    fn is_long_closed(&mut self, sale: &Sale, now: Timestamp) -> bool {
        let since = match (sale.terms().phase(now), sale.window.phase(now)) {
            (Phase::Upcoming | Phase::Open, _) => {
                self.closed_since.remove(&sale.round);
                return false;
            }
            (Phase::Closed, Phase::Closed) => sale.window.closes_at(),
            (Phase::Closed, Phase::Upcoming | Phase::Open) => {
                *self.closed_since.entry(sale.round).or_insert(now)
            }
        };
        now.since(since) >= self.after
    }
}
