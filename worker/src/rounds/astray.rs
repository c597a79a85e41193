//! Verdicts that the gate has missed: the ledger decided an order that was set aside or that a
//! token brought back, and a crash, a fault or the loading of the round came before the gate was
//! told. No outbox brings such a verdict again.

use std::collections::{HashMap, HashSet};

use sale::id::RoundId;
use store::Seams;
use store::gate::{Figures, Settlement, Slot};
use store::ledger::{Counts, LedgerError, Row, SetAside};

use super::Trouble;
use crate::metric;

/// Tickets read or settled by one call.
const PAGE: u32 = 1000;

/// Finds and repairs missed verdicts.
#[derive(Default)]
pub(super) struct Astray {
    /// How many walks in a row have found a round to hold more than is accounted for, or to
    /// know less than the ledger.
    found: HashMap<RoundId, u32>,
}

impl Astray {
    pub(super) fn retain(&mut self, live: &HashSet<RoundId>) {
        self.found.retain(|round, _| live.contains(round));
    }

    /// A unit is held for an order in the outbox or for one that is set aside, and with an
    /// empty outbox the gate knows every sale that the ledger had counted before. If it is not
    /// so, all tickets of the round are settled anew. That is done from the second walk in a
    /// row on (a verdict may be on its way), and after that ever more seldom.
    pub(super) async fn look(
        &mut self,
        seams: &Seams,
        round: RoundId,
        figures: &Figures,
        counts: &Counts,
    ) -> Result<(), Trouble> {
        let on_their_way = figures.undecided_units;
        let accounted_for = figures.held <= on_their_way
            || figures.held <= on_their_way + units(&set_aside_of(seams, round).await?);
        let all_known = figures.undecided > 0 || figures.sold >= u64::from(counts.sold());
        if accounted_for && all_known {
            self.found.remove(&round);
            return Ok(());
        }
        let found = self.found.entry(round).or_default();
        *found = found.saturating_add(1);
        match *found {
            1 => Ok(()),
            times if times.is_power_of_two() => {
                settle_all(seams, round).await?;
                metric::round("settled_anew");
                tracing::warn!(round = round.0, "the gate had missed verdicts: told it all again");
                Ok(())
            }
            _ => {
                let (held, sold) = (figures.held, figures.sold);
                Err(Trouble::Astray { held, sold, ledger: *counts })
            }
        }
    }
}

async fn settle_all(seams: &Seams, round: RoundId) -> Result<(), Trouble> {
    let mut after = None;
    loop {
        let rows = seams.ledger.tickets(round, None, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.ticket.id);
        let settlement =
            |Row { buyer, ticket }| Settlement { ticket: ticket.id, buyer, state: ticket.state };
        let settlements: Vec<_> = rows.into_iter().map(settlement).collect();
        seams.gate.settle(Slot::first(round), &settlements, &[]).await?;
    }
}

/// Orders of a round that are set aside; of more than a page, the first.
pub(super) async fn set_aside_of(
    seams: &Seams,
    round: RoundId,
) -> Result<Vec<SetAside>, LedgerError> {
    seams.ledger.aside_of(round, None, PAGE).await
}

/// All orders of a round that are set aside.
pub(super) async fn all_set_aside_of(
    seams: &Seams,
    round: RoundId,
) -> Result<Vec<SetAside>, LedgerError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = seams.ledger.aside_of(round, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.order.ticket);
        all.extend(page);
    }
}

fn units(aside: &[SetAside]) -> u64 {
    aside.iter().map(|row| u64::from(row.order.units.get())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::{Bench, buyers};

    #[tokio::test]
    async fn all_that_is_set_aside_of_a_round_is_found_whatever_the_page() {
        let bench = Bench::new().await;
        let sale = bench.cold_sale("lamp", 10).await;
        let other = bench.cold_sale("other", 10).await;
        let more_than_a_page = buyers(PAGE as usize + 1);
        let orders = more_than_a_page.iter().map(|buyer| bench.lone_batch(&sale, buyer));
        let failed: Vec<_> = orders
            .chain([bench.lone_batch(&other, "ada")])
            .map(|batch| (batch.orders()[0].clone(), "broken".to_owned()))
            .collect();
        bench.seams.ledger.set_aside(&failed, bench.seams.gate.now()).await.unwrap();
        let found = all_set_aside_of(&bench.seams, sale.round).await.unwrap();
        assert_eq!(found.len(), more_than_a_page.len());
    }
}
