//! The keeper of rounds: loads what is new, rebuilds what the gate lost, finishes what was begun,
//! repairs what went astray, and lets go of what is over.
//!
//! It walks the live rounds and asks the gate for their counts. What it costs grows neither
//! with buyers nor with rounds of the past.

mod astray;
mod build;
mod lease;
mod quiet;
mod recover;
mod restocks;
mod retire;
mod wait;
mod walked;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use sale::id::RoundId;
use store::Seams;
use store::gate::{Figures, GateError, Slot};
use store::ledger::{Counts, LedgerError, RestockRow, Sale};
use store::log::LogError;

use crate::metric;
use astray::Astray;
use quiet::Quiet;
use recover::Recovery;
use restocks::Restocks;
use retire::Retiring;
pub(crate) use walked::Walked;

/// Retired rounds that are looked at beside the live ones: those that another worker retired
/// while this one was loading them again.
const RETIRED_BESIDE: u32 = 100;

/// Sales that are looked at first after a start; it also finds the rounds that a crash kept
/// from leaving the gate.
const FIRST_LOOK: u32 = 10_000;

/// Rounds whose counts are read at one time.
const LOOKS: usize = 16;

/// Looks after rounds. Several workers may do so at once: gate and ledger do each thing once.
pub(crate) struct Keeper {
    seams: Seams,
    walked: Arc<Walked>,
    /// Sales to ask the ledger for.
    most: u32,
    restocks: Restocks,
    retiring: Retiring,
    astray: Astray,
    quiet: Quiet,
    recovery: Recovery,
    /// What is wrong with each live round, and (`None`) with the walk as a whole: logged when
    /// it changes.
    troubles: HashMap<Option<RoundId>, String>,
}

/// How a round stands.
enum Seen {
    /// In ledger and gate.
    Live(Counts, Figures),
    /// In the ledger only.
    NotWarm,
    /// The ledger does not have it.
    Nowhere,
}

/// Reads how a round stands. The ledger's counts are read before the gate's, which then show
/// all that is counted there.
async fn look(seams: Seams, sale: Sale) -> (Sale, Result<Seen, Trouble>) {
    let slot = Slot::first(sale.round);
    seams.gate.expect(slot, sale.incarnation, sale.sequence);
    let seen = async {
        let Some(counts) = seams.ledger.counts(sale.round).await? else {
            return Ok(Seen::Nowhere);
        };
        match seams.gate.figures(slot).await {
            Ok(figures) => Ok(Seen::Live(counts, figures)),
            Err(GateError::NotWarm(_)) => Ok(Seen::NotWarm),
            Err(
                error
                @ (GateError::Recovering(_) | GateError::Unavailable(_) | GateError::NotKnown),
            ) => Err(error.into()),
        }
    };
    let seen = seen.await;
    (sale, seen)
}

/// Why a round could not be looked after.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(
        "gate and ledger disagree, so that the round stays in the gate: available {} and {}, \
         sold {} and {}", gate.available, ledger.available, gate.sold, ledger.sold()
    )]
    Disagree { gate: Box<Figures>, ledger: Counts },
    #[error(
        "gate and ledger differ though nothing is on its way: the gate holds {held} units, and \
         {sold} are sold by its count, {} by the ledger's", ledger.sold()
    )]
    Astray { held: u64, sold: u64, ledger: Counts },
    #[error(
        "the gate is of incarnation {gate} and the ledger of {ledger}: the ledger is older than the \
         gate. If it was restored from a backup, do what docs/operations.md says under \
         'Backup and restore'"
    )]
    Ahead { gate: u32, ledger: u32 },
}

impl Trouble {
    fn ahead(gate: &Figures, sale: &Sale) -> Self {
        Self::Ahead { gate: gate.incarnation, ledger: sale.incarnation }
    }
}

impl Keeper {
    pub(crate) fn new(seams: Seams, walked: Arc<Walked>, settings: &crate::Settings) -> Self {
        Self {
            seams,
            walked,
            most: FIRST_LOOK,
            restocks: Restocks::new(settings.restock_after),
            retiring: Retiring::new(settings.retire_after),
            astray: Astray::default(),
            quiet: Quiet::default(),
            recovery: Recovery::new(settings),
            troubles: HashMap::new(),
        }
    }

    /// One walk.
    pub(crate) async fn step(&mut self) {
        self.collect().await;
        let walked = self.walk().await;
        self.note(None, walked);
    }

    /// One step of each rebuild that this worker is at.
    pub(crate) async fn recover(&mut self) {
        self.collect().await;
        for round in self.recovery.rounds() {
            let stepped = self.recovery.step(&self.seams, round).await;
            self.note(Some(round), stepped);
        }
    }

    /// Ends what it has begun, after its last step.
    pub(crate) async fn end(&mut self) {
        self.recovery.end().await;
    }

    /// Takes note of the rounds that were loaded since the last step, or could not be.
    async fn collect(&mut self) {
        for (round, trouble) in self.recovery.collect(&self.seams).await {
            self.note(Some(round), Err(trouble));
        }
    }

    /// Waits for the rounds that are being loaded.
    #[cfg(test)]
    pub(crate) async fn built(&mut self) {
        for (round, trouble) in self.recovery.built(&self.seams).await {
            self.note(Some(round), Err(trouble));
        }
    }

    async fn walk(&mut self) -> Result<(), Trouble> {
        let sales = self.seams.ledger.sales(self.most).await?;
        let listed = sales.len();
        let (retired, live): (Vec<_>, Vec<_>) = sales.into_iter().partition(|sale| sale.retired);
        self.most = next_most(self.most, listed, live.len());
        let unfinished = self.seams.ledger.unfinished_restocks().await?;
        self.forget_all_but(&live, &retired);
        let recovering = live.iter().filter(|sale| sale.is_recovering());
        let recovering = recovering.map(|sale| sale.round).collect();
        self.tend_all(live, &unfinished).await;
        self.tell_recovering(recovering);
        for sale in &retired {
            self.retiring.leave_gate(&self.seams, sale.round).await?;
        }
        self.restocks.finish(&self.seams, unfinished).await
    }

    async fn tend_all(&mut self, live: Vec<Sale>, unfinished: &[RestockRow]) {
        let (mut held, mut all_seen) = (metric::Held::default(), true);
        let mut live = live.into_iter().peekable();
        while live.peek().is_some() {
            let part = live.by_ref().take(LOOKS);
            let looks = join_all(part.map(|sale| look(self.seams.clone(), sale)));
            // All of them have ended before one is tended: a look that stands still in its middle
            // would keep a connection that tending waits for.
            for (sale, seen) in looks.await {
                match &seen {
                    Ok(Seen::Live(_, figures)) => held.add(figures),
                    Ok(Seen::NotWarm | Seen::Nowhere) => {}
                    Err(_) => all_seen = false,
                }
                let tended = match seen {
                    Ok(seen) => self.tend(&sale, seen, unfinished).await,
                    Err(trouble) => Err(trouble),
                };
                self.note(Some(sale.round), tended);
            }
        }
        if all_seen {
            held.tell(self.seams.gate.now());
            self.walked.set_undecided(held.undecided);
        }
    }

    async fn tend(
        &mut self,
        sale: &Sale,
        seen: Seen,
        unfinished: &[RestockRow],
    ) -> Result<(), Trouble> {
        if self.recovery.is_anothers(sale, self.seams.gate.now()) {
            return Ok(());
        }
        let (counts, figures) = match seen {
            Seen::Nowhere => return Ok(()),
            Seen::NotWarm | Seen::Live(..) if !sale.loaded => {
                return self.recovery.step(&self.seams, sale.round).await;
            }
            Seen::NotWarm => {
                return self.recovery.begin(&self.seams, sale, "the gate does not have it").await;
            }
            Seen::Live(counts, figures) => (counts, figures),
        };
        if figures.incarnation > sale.incarnation {
            // Rebuilt since the ledger was read, unless the ledger was set back.
            let read_again = self.seams.ledger.sale_of(sale.round).await?;
            let ahead = read_again.filter(|sale| figures.incarnation > sale.incarnation);
            return ahead.map_or(Ok(()), |sale| Err(Trouble::ahead(&figures, &sale)));
        }
        if let Some(why) = sale.loss_in(&figures) {
            return self.recovery.begin(&self.seams, sale, why).await;
        }
        if figures.terms.version < sale.terms_version {
            // By the older terms more may have been granted since: the next walk sees it.
            return Ok(self.seams.gate.set_terms(sale.terms()).await?);
        }
        self.astray.look(&self.seams, sale.round, &figures, &counts).await?;
        let restocked = unfinished.iter().any(|row| row.round == sale.round);
        if self.quiet.disagrees(&self.seams, sale.round, (&figures, &counts), restocked).await? {
            let why = "gate and ledger disagree though nothing is on its way";
            return self.recovery.begin(&self.seams, sale, why).await;
        }
        if figures.undecided == 0 && figures.held == 0 && !restocked {
            self.retiring.retire(&self.seams, sale, figures).await?;
        }
        Ok(())
    }

    /// Those that the ledger's rows say, and those that were found since.
    fn tell_recovering(&self, mut rounds: Vec<RoundId>) {
        rounds.extend(self.recovery.recovering());
        rounds.sort_unstable();
        rounds.dedup();
        metric::recovering(rounds.len());
        self.walked.set_recovering(rounds);
    }

    /// What is kept of rounds is bounded by those that were listed.
    fn forget_all_but(&mut self, live: &[Sale], retired: &[Sale]) {
        let live: HashSet<_> = live.iter().map(|sale| sale.round).collect();
        let retired: HashSet<_> = retired.iter().map(|sale| sale.round).collect();
        self.troubles.retain(|round, _| round.is_none_or(|round| live.contains(&round)));
        self.astray.retain(&live);
        self.quiet.retain(&live);
        self.recovery.retain(&live);
        self.retiring.retain(&live, &retired);
    }

    fn note(&mut self, round: Option<RoundId>, result: Result<(), Trouble>) {
        let Err(trouble) = result else {
            self.troubles.remove(&round);
            return;
        };
        let text = trouble.to_string();
        if self.troubles.get(&round) != Some(&text) {
            let number = round.map(|round| round.0);
            tracing::warn!(round = number, trouble = text, "a round could not be looked after");
            self.troubles.insert(round, text);
        }
    }
}

/// How many sales to ask for next: all live ones and a few more. If no retired one was among
/// those listed, more may be live.
fn next_most(asked: u32, listed: usize, live: usize) -> u32 {
    let live = u32::try_from(live).unwrap_or(u32::MAX);
    if u32::try_from(listed).is_ok_and(|listed| listed == asked) && live == asked {
        asked.saturating_mul(2)
    } else {
        live.saturating_add(RETIRED_BESIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::Bench;

    #[tokio::test]
    async fn a_ledger_that_is_older_than_the_gate_is_told_with_what_to_do() {
        let bench = Bench::new().await;
        let sale = bench.cold_sale("lamp", 10).await;
        let mut snapshot = bench.seams.ledger.snapshot(sale.round).await.unwrap().unwrap();
        snapshot.incarnation = 2;
        assert!(bench.seams.gate.warm(snapshot, None).await.unwrap());
        let settings = crate::Settings::default();
        let mut keeper = Keeper::new(bench.seams.clone(), Arc::default(), &settings);
        for _loaded_or_not in 0..2 {
            keeper.step().await;
            let told = &keeper.troubles[&Some(sale.round)];
            assert!(told.contains("Backup and restore"), "{told}");
            bench.seams.ledger.confirm_loaded(sale.round, 1).await.unwrap();
            keeper.troubles.clear();
        }
    }

    #[test]
    fn the_walk_covers_the_live_rounds_and_not_those_of_the_past() {
        assert_eq!(next_most(FIRST_LOOK, 10_000, 3), 103, "a few live among many retired");
        assert_eq!(next_most(103, 103, 50), 150, "more became live");
        assert_eq!(next_most(103, 103, 103), 206, "all that were listed are live");
        assert_eq!(next_most(103, 4, 4), 104, "nothing is retired");
    }
}
