//! Rounds in which gate and ledger disagree though nothing is on its way: no order, no verdict and
//! no change of stock will bring them together.

use std::collections::{HashMap, HashSet};

use sale::id::RoundId;
use store::Seams;
use store::gate::Figures;
use store::ledger::Counts;

use super::Trouble;
use super::astray::set_aside_of;

/// Walks in a row that must find the same disagreement. Missed verdicts are told anew before.
const WALKS: u32 = 3;

/// The same while a change of stock is unfinished: who began it, or the keeper, finishes it
/// before, unless the ledger refuses what the gate has applied.
const WALKS_OF_RESTOCK: u32 = 10;

/// Finds them.
#[derive(Default)]
pub(super) struct Quiet {
    /// How gate and ledger stood, and how many walks in a row have found it so.
    found: HashMap<RoundId, ((u64, Counts), u32)>,
}

impl Quiet {
    pub(super) fn retain(&mut self, live: &HashSet<RoundId>) {
        self.found.retain(|round, _| live.contains(round));
    }

    /// Whether a round disagrees and nothing will change that.
    pub(super) async fn disagrees(
        &mut self,
        seams: &Seams,
        round: RoundId,
        (gate, ledger): (&Figures, &Counts),
        restocked: bool,
    ) -> Result<bool, Trouble> {
        let agree = (gate.available, gate.held, gate.sold)
            == (i64::from(ledger.available), 0, u64::from(ledger.sold()));
        if agree || gate.undecided > 0 || !set_aside_of(seams, round).await?.is_empty() {
            self.found.remove(&round);
            return Ok(false);
        }
        let stands = (gate.sequence, *ledger);
        let (found, walks) = self.found.entry(round).or_insert((stands, 0));
        *walks = if *found == stands { *walks + 1 } else { 1 };
        *found = stands;
        Ok(*walks >= if restocked { WALKS_OF_RESTOCK } else { WALKS })
    }
}
