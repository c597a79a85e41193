//! Verdicts that the gate has missed: the ledger decided an order that was set aside, and a
//! crash or a fault came before the gate was told. No outbox brings such a verdict again.

use std::collections::{HashMap, HashSet};

use sale::id::{RoundId, TicketId};
use store::Seams;
use store::gate::{Figures, Settlement, Slot};
use store::ledger::{LedgerError, Row, SetAside};

use super::Trouble;
use crate::metric;

/// Tickets read or settled by one call.
const PAGE: u32 = 1000;

/// Finds and repairs missed verdicts.
#[derive(Default)]
pub(super) struct Astray {
    /// How many walks in a row have found a round to hold more than is accounted for.
    found: HashMap<RoundId, u32>,
}

impl Astray {
    pub(super) fn retain(&mut self, live: &HashSet<RoundId>) {
        self.found.retain(|round, _| live.contains(round));
    }

    /// A unit is held for an order in the outbox or for one that is set aside. If there are
    /// others, all tickets of the round are settled anew. That is done from the second walk
    /// in a row on (a verdict may be on its way), and after that ever more seldom.
    pub(super) async fn look(
        &mut self,
        seams: &Seams,
        round: RoundId,
        figures: &Figures,
    ) -> Result<(), Trouble> {
        let accounted_for = figures.held == 0
            || figures.undecided > 0
            || figures.held <= units(&set_aside_of(seams, round).await?);
        if accounted_for {
            self.found.remove(&round);
            return Ok(());
        }
        let found = self.found.entry(round).or_default();
        *found = found.saturating_add(1);
        match *found {
            1 => return Ok(()),
            times if times.is_power_of_two() => settle_all(seams, round).await?,
            _ => {}
        }
        let held = seams.gate.figures(Slot::first(round)).await?.held;
        if held < figures.held {
            metric::round("repaired");
            tracing::warn!(
                round = round.0,
                units = figures.held - held,
                "the gate had missed verdicts and has them now"
            );
            return Ok(());
        }
        Err(Trouble::Astray(held))
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
    let mut rows = seams.ledger.aside(last_before(round), PAGE).await?;
    rows.retain(|row| row.order.ticket.round() == round);
    Ok(rows)
}

fn units(aside: &[SetAside]) -> u64 {
    aside.iter().map(|row| u64::from(row.order.units.get())).sum()
}

/// The highest ticket id that a round before this one can have.
fn last_before(round: RoundId) -> Option<TicketId> {
    let before = round.0.checked_sub(1)?;
    let mut id = [0xff; 16];
    id[..4].copy_from_slice(&before.to_be_bytes());
    Some(TicketId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_listed_round_by_round() {
        let of = |round: u32, rest| {
            let mut id = [rest; 16];
            id[..4].copy_from_slice(&round.to_be_bytes());
            TicketId(id)
        };
        let before = last_before(RoundId(256)).unwrap();
        assert!(before >= of(255, 0xff) && before < of(256, 0));
        assert_eq!(last_before(RoundId(0)), None);
    }
}
