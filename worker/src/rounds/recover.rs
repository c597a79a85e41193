//! Rounds whose gate has lost writes, or is not loaded: rebuilt from the ledger once what the
//! old gate had granted is decided, as far as can be told.
//!
//! A fence that has come back says that whoever received it has decided what he took before. It
//! says nothing of what another worker has in hand, or was given back and comes again later. So
//! a round is loaded only after the ledger's counts of it have not moved for a while. What comes
//! later still is decided by whether it fits, and the round recovers once more if need be.
//!
//! Each step asks gate and ledger anew how far it is, so that whoever holds the lease goes on
//! where another has died. The lease only saves work: what must happen once is compared and set.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sale::id::RoundId;
use sale::time::Timestamp;
use store::Seams;
use store::gate::{Figures, GateError, Slot};
use store::ledger::{LedgerError, Sale};
use tokio::task::Id;
use tokio::time::Instant;

use super::Trouble;
use super::build::{Builds, Built, Counted, End, Pause};
use super::lease::Lessee;
use super::wait::{Patience, Wait};
use crate::metric;

/// The longest pause after a build that was overtaken, and after one that failed.
const OVERTAKEN_MOST: Duration = Duration::from_secs(5);
const FAILED_MOST: Duration = Duration::from_secs(30);

/// Builds of a round in a row that are overtaken without a word.
const OVERTAKEN_QUIETLY: u32 = 4;

/// Rebuilds gates.
pub(super) struct Recovery {
    lessee: Lessee,
    patience: Patience,
    build_again: Duration,
    /// Rounds that this worker rebuilds.
    mine: HashMap<RoundId, Rebuild>,
    /// Live rounds whose last build did not load them.
    pauses: HashMap<RoundId, Pause>,
    builds: Builds,
}

/// How far this worker is with a round, beyond what gate and ledger know.
#[derive(Default)]
struct Rebuild {
    /// The round is not merely new.
    recovers: bool,
    /// When the lease was last taken or renewed.
    leased: Option<Instant>,
    wait: Wait,
    /// The build that runs.
    building: Option<Id>,
}

impl Recovery {
    pub(super) fn new(settings: &crate::Settings) -> Self {
        Self {
            lessee: Lessee::new(settings.lease_for),
            patience: Patience::new(settings),
            build_again: settings.build_again,
            mine: HashMap::new(),
            pauses: HashMap::new(),
            builds: Builds::default(),
        }
    }

    pub(super) fn retain(&mut self, live: &HashSet<RoundId>) {
        self.mine.retain(|round, _| live.contains(round));
        self.pauses.retain(|round, _| live.contains(round));
    }

    /// The rounds that this worker rebuilds, or loads for the first time.
    pub(super) fn rounds(&self) -> Vec<RoundId> {
        self.mine.keys().copied().collect()
    }

    /// Those of them that recover.
    pub(super) fn recovering(&self) -> impl Iterator<Item = RoundId> {
        self.mine.iter().filter(|(_, mine)| mine.recovers).map(|(round, _)| *round)
    }

    /// Whether another worker rebuilds the round.
    pub(super) fn is_anothers(&self, sale: &Sale, now: Timestamp) -> bool {
        self.lessee.is_anothers(sale, now)
    }

    /// Moves a round to recovering, unless somebody else has, and takes the first step. If this
    /// worker has just failed to load it, that has to wait. If it is at loading it, the ledger
    /// says so before the gate has it.
    pub(super) async fn begin(
        &mut self,
        seams: &Seams,
        sale: &Sale,
        why: &'static str,
    ) -> Result<(), Trouble> {
        if self.is_paused(sale.round) || self.is_building(sale.round) {
            return Ok(());
        }
        move_on(seams, sale, why).await?;
        self.step(seams, sale.round).await
    }

    /// One step of a rebuild. After the last one, or one that failed, the lease ends: another
    /// worker may reach what this one does not.
    pub(super) async fn step(&mut self, seams: &Seams, round: RoundId) -> Result<(), Trouble> {
        if self.is_building(round) {
            return Ok(());
        }
        let goes_on = self.rebuild(seams, round).await;
        if !matches!(goes_on, Ok(true)) {
            self.leave(seams, round).await;
        }
        goes_on.map(drop)
    }

    async fn leave(&mut self, seams: &Seams, round: RoundId) {
        if self.mine.remove(&round).is_some_and(|mine| mine.leased.is_some()) {
            self.lessee.end(seams, round).await;
        }
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
        self.mine.entry(round).or_default().recovers = sale.is_recovering();
        match &old {
            Some(gate) if gate.incarnation > sale.incarnation => {
                return Err(Trouble::ahead(gate, &sale));
            }
            Some(gate) if gate.incarnation == sale.incarnation => confirm(seams, &sale).await?,
            Some(gate) if !gate.frozen => seams.gate.freeze(slot, sale.incarnation - 1).await?,
            Some(_) | None => match self.obstacle(seams, &sale, old.as_ref()).await? {
                Some(waits_for) => {
                    let wait = &mut self.mine.entry(round).or_default().wait;
                    wait.go_on(seams, self.patience, &sale, waits_for).await?;
                }
                None => {
                    let over = old.map(|gate| gate.sequence);
                    let id = self.builds.begin(seams, self.lessee, round, over);
                    self.mine.entry(round).or_default().building = Some(id);
                }
            },
        }
        Ok(true)
    }

    /// Takes the lease, or renews it when half of it is over.
    async fn lease(&mut self, seams: &Seams, round: RoundId) -> Result<bool, LedgerError> {
        let half = self.lessee.lease_for / 2;
        let mine = self.mine.entry(round).or_default();
        if mine.leased.is_some_and(|at| at.elapsed() < half) {
            return Ok(true);
        }
        let now = Instant::now();
        mine.leased = self.lessee.take(seams, round).await?.then_some(now);
        Ok(mine.leased.is_some())
    }

    /// What keeps a round from being loaded, in words.
    async fn obstacle(
        &mut self,
        seams: &Seams,
        sale: &Sale,
        old: Option<&Figures>,
    ) -> Result<Option<&'static str>, LedgerError> {
        let wait = &mut self.mine.entry(sale.round).or_default().wait;
        let undecided = wait.undecided(seams, self.patience, sale, old).await?;
        Ok(if undecided.is_some() {
            undecided
        } else if self.is_paused(sale.round) {
            Some("the next try to load it")
        } else if self.builds.are_full() {
            Some("other rounds that are being loaded")
        } else {
            None
        })
    }

    fn is_building(&self, round: RoundId) -> bool {
        self.mine.get(&round).is_some_and(|mine| mine.building.is_some())
    }

    fn is_paused(&self, round: RoundId) -> bool {
        self.pauses.get(&round).is_some_and(|pause| !pause.is_over())
    }

    /// Takes note of the builds that have ended.
    pub(super) async fn collect(&mut self, seams: &Seams) -> Vec<(RoundId, Trouble)> {
        let mut failed = Vec::new();
        while let Some(end) = self.builds.ended() {
            failed.extend(self.note(seams, end).await);
        }
        failed
    }

    /// Waits for all builds.
    #[cfg(test)]
    pub(super) async fn built(&mut self, seams: &Seams) -> Vec<(RoundId, Trouble)> {
        let mut failed = Vec::new();
        while let Some(end) = self.builds.next().await {
            failed.extend(self.note(seams, end).await);
        }
        failed
    }

    /// Ends the builds that run.
    pub(super) async fn end(&mut self) {
        self.builds.end().await;
    }

    /// Has a round whose build did not load it wait.
    async fn note(&mut self, seams: &Seams, (id, end): End) -> Option<(RoundId, Trouble)> {
        let (round, mine) = self.mine.iter_mut().find(|(_, mine)| mine.building == Some(id))?;
        let round = *round;
        mine.building = None;
        let most = match &end {
            Some(Ok(Built::Done)) => {
                self.pauses.remove(&round);
                return None;
            }
            Some(Ok(Built::Overtaken(_))) => OVERTAKEN_MOST,
            Some(Err(_)) | None => FAILED_MOST,
        };
        let before = self.pauses.get(&round).copied();
        let pause = Pause::after(before, self.build_again, most);
        self.pauses.insert(round, pause);
        match end? {
            Ok(Built::Done) => None,
            Ok(Built::Overtaken(said)) => {
                if pause.tries > OVERTAKEN_QUIETLY {
                    warn_of_overtaken(seams, round, said).await;
                }
                None
            }
            Err(trouble) => {
                self.leave(seams, round).await;
                Some((round, trouble))
            }
        }
    }
}

/// Moves a loaded round to recovering, unless somebody else has.
async fn move_on(seams: &Seams, sale: &Sale, why: &'static str) -> Result<(), LedgerError> {
    let Sale { round, incarnation, .. } = *sale;
    if seams.ledger.recover(round, incarnation).await? {
        metric::round("recovering");
        let incarnation = incarnation + 1;
        tracing::warn!(round = round.0, incarnation, why, "a round recovers: no grants meanwhile");
    }
    Ok(())
}

/// The gate was loaded and the ledger not told. Who created the sale does so; a later incarnation
/// is never loaded before the ledger is told, so that one may lack what was on its way.
async fn confirm(seams: &Seams, sale: &Sale) -> Result<(), LedgerError> {
    seams.ledger.confirm_loaded(sale.round, sale.incarnation).await?;
    if !sale.is_new() {
        move_on(seams, sale, "the gate was loaded before all was decided").await?;
    }
    Ok(())
}

async fn warn_of_overtaken(seams: &Seams, round: RoundId, said: Counted) {
    let Counted { available, sold, rejected } = said;
    let Ok(Some(counts)) = seams.ledger.counts(round).await else { return };
    tracing::warn!(
        round = round.0,
        available,
        sold,
        rejected,
        counted_available = counts.available,
        counted_sold = counts.sold(),
        counted_rejected = counts.rejected,
        "a round is not loaded, as the ledger's tickets and its counts differ time and again: if \
         these figures do not move, its rows do not add up"
    );
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;

    use super::*;
    use crate::tests::bench::Bench;

    #[tokio::test]
    async fn a_gate_that_this_worker_is_at_loading_is_not_taken_for_lost() {
        let bench = Bench::new().await;
        let sale = bench.cold_sale("lamp", 10).await;
        let Bench { seams, .. } = &bench;
        assert!(seams.ledger.confirm_loaded(sale.round, 1).await.unwrap());
        let mut recovery = Recovery::new(&crate::Settings::default());
        let build = JoinSet::new().spawn(pending::<()>()).id();
        recovery.mine.entry(sale.round).or_default().building = Some(build);

        recovery.begin(seams, &sale, "the gate does not have it").await.unwrap();
        let row = seams.ledger.sale_of(sale.round).await.unwrap().unwrap();
        assert_eq!((row.incarnation, row.loaded), (1, true));
    }
}
