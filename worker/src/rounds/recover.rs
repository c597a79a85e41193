//! Rounds whose gate has lost writes, or is not loaded: rebuilt from the ledger once all that the
//! old gate had granted is decided.
//!
//! Each step asks gate and ledger anew how far it is, so that whoever holds the lease goes on
//! where another has died. The lease only saves work: what must happen once is compared and set.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use sale::id::RoundId;
use sale::time::Timestamp;
use store::Seams;
use store::gate::{Figures, GateError, Settlement, Slot, Snapshot};
use store::ledger::{Sale, WorkerId};
use tokio::time::Instant;

use super::Trouble;
use super::astray::set_aside_of;
use crate::metric;

/// Rebuilds gates.
pub(super) struct Recovery {
    me: WorkerId,
    lease_for: Duration,
    fence_again: Duration,
    /// Rounds that this worker rebuilds.
    mine: HashMap<RoundId, Rebuild>,
}

/// How far this worker is with a round, beyond what gate and ledger know.
#[derive(Default)]
struct Rebuild {
    fences_sent: Option<Instant>,
    /// What it waits for, in words: logged when it changes.
    waits_for: &'static str,
}

impl Recovery {
    pub(super) fn new(settings: &crate::Settings) -> Self {
        Self {
            me: WorkerId(rand::random()),
            lease_for: settings.lease_for,
            fence_again: settings.fence_again,
            mine: HashMap::new(),
        }
    }

    pub(super) fn retain(&mut self, live: &HashSet<RoundId>) {
        self.mine.retain(|round, _| live.contains(round));
    }

    /// The rounds that this worker rebuilds.
    pub(super) fn rounds(&self) -> Vec<RoundId> {
        self.mine.keys().copied().collect()
    }

    /// Whether another worker rebuilds the round.
    pub(super) fn is_anothers(&self, sale: &Sale, now: Timestamp) -> bool {
        sale.lease.is_some_and(|lease| lease.by != self.me && lease.until > now)
    }

    /// Moves a round to recovering, unless somebody else has, and takes the first step.
    pub(super) async fn begin(
        &mut self,
        seams: &Seams,
        sale: &Sale,
        why: &'static str,
    ) -> Result<(), Trouble> {
        let Sale { round, incarnation, .. } = *sale;
        if seams.ledger.recover(round, incarnation).await? {
            metric::round("recovering");
            let incarnation = incarnation + 1;
            tracing::warn!(
                round = round.0,
                incarnation,
                why,
                "a round recovers: no grants meanwhile"
            );
        }
        self.step(seams, round).await
    }

    /// One step of a rebuild. After the last one, or one that failed, the lease ends: another
    /// worker may reach what this one does not.
    pub(super) async fn step(&mut self, seams: &Seams, round: RoundId) -> Result<(), Trouble> {
        self.mine.entry(round).or_default();
        let goes_on = self.rebuild(seams, round).await;
        if !matches!(goes_on, Ok(true)) {
            self.mine.remove(&round);
            // If not now, then by itself.
            let _ = seams.ledger.end_lease(round, self.me).await;
        }
        goes_on.map(drop)
    }

    /// Answers whether there is more to do for this worker.
    async fn rebuild(&mut self, seams: &Seams, round: RoundId) -> Result<bool, Trouble> {
        let slot = Slot::first(round);
        let old = match seams.gate.figures(slot).await {
            Ok(figures) => Some(figures),
            Err(GateError::NotWarm(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if !self.lease(seams, round).await? {
            return Ok(false);
        }
        let sale = seams.ledger.sale_of(round).await?;
        let Some(sale) = sale.filter(|sale| !sale.loaded && !sale.retired) else {
            return Ok(false);
        };
        match &old {
            Some(gate) if gate.incarnation >= sale.incarnation => self.mark(seams, round).await?,
            Some(gate) if !gate.frozen => seams.gate.freeze(slot, sale.incarnation - 1).await?,
            Some(_) | None if !is_drained(seams, &sale, old.as_ref()) => {
                self.wait(seams, &sale).await?;
            }
            Some(_) | None => {
                let over = old.map(|gate| gate.sequence);
                tokio::select! {
                    built = build(seams, round, over) => built?,
                    never = self.keep_lease(seams, round) => match never {},
                }
            }
        }
        Ok(true)
    }

    async fn lease(&self, seams: &Seams, round: RoundId) -> Result<bool, Trouble> {
        let now = seams.gate.now();
        Ok(seams.ledger.lease(round, self.me, now, now.plus(self.lease_for)).await?)
    }

    /// Renews the lease while a step takes long. Should it be lost, whoever has it and this one
    /// do not harm each other.
    async fn keep_lease(&self, seams: &Seams, round: RoundId) -> Infallible {
        loop {
            tokio::time::sleep(self.lease_for / 3).await;
            if let Err(error) = self.lease(seams, round).await {
                tracing::debug!(round = round.0, %error, "a lease was not renewed");
            }
        }
    }

    /// The gate was loaded and the ledger not told: by who created the sale.
    async fn mark(&self, seams: &Seams, round: RoundId) -> Result<(), Trouble> {
        if let Some(snapshot) = seams.ledger.snapshot(round).await? {
            seams.ledger.set_loaded(&snapshot).await?;
        }
        Ok(())
    }

    /// Waits for what is on its way. Fences that have not come back are sent again after a
    /// while, as the log may lose them.
    async fn wait(&mut self, seams: &Seams, sale: &Sale) -> Result<(), Trouble> {
        let Sale { round, incarnation, .. } = *sale;
        let mine = self.mine.entry(round).or_default();
        let back = fences_are_back(seams, sale);
        let waits_for =
            if back { "orders in the outbox of the older gate" } else { "orders in the log" };
        if mine.waits_for != waits_for {
            mine.waits_for = waits_for;
            tracing::info!(round = round.0, incarnation, waits_for, "a rebuild waits");
        }
        let due = |sent: Instant| sent.elapsed() >= self.fence_again;
        if !back && mine.fences_sent.is_none_or(due) {
            mine.fences_sent = Some(Instant::now());
            seams.log.publish_fence(seams.ledger.install(), round, incarnation).await?;
        }
        Ok(())
    }
}

/// Whether all that older incarnations have granted is decided, as far as gate and log know of
/// it. There are none before the first.
fn is_drained(seams: &Seams, sale: &Sale, old: Option<&Figures>) -> bool {
    let outbox_is_empty = old.is_none_or(|gate| gate.undecided == 0);
    sale.is_new() || (outbox_is_empty && fences_are_back(seams, sale))
}

fn fences_are_back(seams: &Seams, sale: &Sale) -> bool {
    let back = |partition: u8| sale.fences >> partition & 1 == 1;
    (0..seams.log.partitions()).all(back)
}

async fn build(seams: &Seams, round: RoundId, over: Option<u64>) -> Result<(), Trouble> {
    match seams.ledger.snapshot(round).await? {
        Some(snapshot) => load(seams, snapshot, over).await,
        None => Ok(()),
    }
}

/// Loads the gate, if nothing was decided since the snapshot. What is decided later finds either
/// no gate and comes again, or moves the sequence of the old one, which then stays.
async fn load(seams: &Seams, mut snapshot: Snapshot, over: Option<u64>) -> Result<(), Trouble> {
    if !seams.ledger.set_loaded(&snapshot).await? {
        return Ok(());
    }
    let (round, incarnation) = (snapshot.terms.round, snapshot.incarnation);
    // Orders set aside are no tickets of the ledger yet, and hold their units.
    let decided: HashSet<_> = snapshot.tickets.iter().map(|ticket| ticket.ticket).collect();
    for row in set_aside_of(seams, round).await? {
        if !decided.contains(&row.order.ticket) {
            snapshot.available -= i64::from(row.order.units.get());
            snapshot.tickets.push(Settlement::pending(&row.order));
        }
    }
    let tickets = snapshot.tickets.len();
    if seams.gate.warm(snapshot, over).await? {
        metric::round(if incarnation == 1 { "loaded" } else { "rebuilt" });
        tracing::info!(round = round.0, incarnation, tickets, "loaded a round into the gate");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::Bench;
    use store::ledger::{DeadlineFrom, Reached};

    #[tokio::test]
    async fn a_snapshot_that_a_verdict_has_overtaken_is_not_loaded() {
        let bench = Bench::new().await;
        let Bench { seams, .. } = &bench;
        let sale = bench.cold_sale("lamp", 10).await;
        let overtaken = seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
        let now = seams.gate.now();
        let deadline = DeadlineFrom { reachable_since: now };
        let lone = bench.lone_batch(&sale, "ada");
        let none = Reached::default();
        seams.ledger.decide(lone.orders(), &none, &deadline, now).await.unwrap();

        load(seams, overtaken, None).await.unwrap();
        let refused = seams.gate.figures(Slot::first(sale.round)).await.unwrap_err();
        assert!(matches!(refused, GateError::NotWarm(_)), "{refused}");

        build(seams, sale.round, None).await.unwrap();
        assert_eq!(bench.figures(&sale).await.sold, 1);
        bench.conserved(&sale).await;
    }
}
