//! Loads gates from the ledger, each in a task of its own: reading a large round takes long, and
//! the others are looked after meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use sale::id::RoundId;
use store::Seams;
use store::gate::{Settlement, Snapshot};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::Trouble;
use super::astray::all_set_aside_of;
use super::lease::Lessee;
use crate::metric;

/// Rounds that are loaded at one time: each is in memory as a whole. The others wait.
const BUILDS: usize = 4;

/// What became of a build.
#[derive(Debug)]
pub(super) enum Built {
    /// There is no more for it to do: the gate was loaded, or is found to have been.
    Done,
    /// Something was decided since the snapshot, which said this.
    Overtaken(Counted),
}

/// A round's units and rejections, by the tickets of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) available: i64,
    pub(super) sold: u64,
    pub(super) rejected: usize,
}

impl Counted {
    fn of(snapshot: &Snapshot) -> Self {
        Self { available: snapshot.available, sold: snapshot.sold(), rejected: snapshot.rejected() }
    }
}

/// How a build ended; `None` if it panicked.
pub(super) type End = (Id, Option<Result<Built, Trouble>>);

/// The builds that run.
#[derive(Default)]
pub(super) struct Builds(JoinSet<Result<Built, Trouble>>);

impl Builds {
    pub(super) fn are_full(&self) -> bool {
        self.0.len() >= BUILDS
    }

    /// Begins one, over the old gate if it is still at this sequence. The lease is kept until it
    /// has ended.
    pub(super) fn begin(
        &mut self,
        seams: &Seams,
        lessee: Lessee,
        round: RoundId,
        over: Option<u64>,
    ) -> Id {
        let seams = seams.clone();
        let built = async move {
            tokio::select! {
                built = build(&seams, round, over) => built,
                never = lessee.keep(&seams, round) => match never {},
            }
        };
        self.0.spawn(built).id()
    }

    /// One that has ended.
    pub(super) fn ended(&mut self) -> Option<End> {
        self.0.try_join_next_with_id().map(end)
    }

    /// Waits for the next one that ends.
    #[cfg(test)]
    pub(super) async fn next(&mut self) -> Option<End> {
        self.0.join_next_with_id().await.map(end)
    }

    /// Drops those that run, and waits until they are gone. Their rounds are found not loaded, or
    /// not warm.
    pub(super) async fn end(&mut self) {
        self.0.shutdown().await;
    }
}

fn end(joined: Result<(Id, Result<Built, Trouble>), tokio::task::JoinError>) -> End {
    match joined {
        Ok((id, built)) => (id, Some(built)),
        Err(end) => {
            metric::panicked();
            tracing::error!(error = %end, "loading a gate panicked");
            (end.id(), None)
        }
    }
}

/// When a build of a round may be tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    pub(super) tries: u32,
    wait: Duration,
    since: Instant,
}

impl Pause {
    /// The next one: the first, or twice as long as the one before, up to `most`.
    pub(super) fn after(before: Option<Self>, first: Duration, most: Duration) -> Self {
        let (tries, wait) = match before {
            Some(before) => (before.tries.saturating_add(1), (before.wait * 2).min(most)),
            None => (1, first),
        };
        Self { tries, wait, since: Instant::now() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= self.wait
    }
}

async fn build(seams: &Seams, round: RoundId, over: Option<u64>) -> Result<Built, Trouble> {
    match seams.ledger.snapshot(round).await? {
        Some(snapshot) => load(seams, snapshot, over).await,
        None => Ok(Built::Done),
    }
}

/// Loads the gate, if nothing was decided since the snapshot. What is decided later finds either
/// no gate and comes again, or moves the sequence of the old one, which then stays.
async fn load(seams: &Seams, mut snapshot: Snapshot, over: Option<u64>) -> Result<Built, Trouble> {
    if !seams.ledger.set_loaded(&snapshot).await? {
        return Ok(Built::Overtaken(Counted::of(&snapshot)));
    }
    let (round, incarnation) = (snapshot.terms.round, snapshot.incarnation);
    // Orders set aside are no tickets of the ledger yet, and hold their units.
    let decided: HashSet<_> = snapshot.tickets.iter().map(|ticket| ticket.ticket).collect();
    for row in all_set_aside_of(seams, round).await? {
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
    Ok(Built::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::Bench;
    use store::gate::{GateError, Slot};
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

        let Built::Overtaken(said) = load(seams, overtaken, None).await.unwrap() else {
            panic!("it was loaded");
        };
        assert_eq!(said, Counted { available: 10, sold: 0, rejected: 0 });
        let refused = seams.gate.figures(Slot::first(sale.round)).await.unwrap_err();
        assert!(matches!(refused, GateError::NotWarm(_)), "{refused}");

        build(seams, sale.round, None).await.unwrap();
        assert_eq!(bench.figures(&sale).await.sold, 1);
        bench.conserved(&sale).await;
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let mut pause = None;
        let waits = [(); 5].map(|()| {
            let next = Pause::after(pause, second, 5 * second);
            pause = Some(next);
            (next.tries, next.wait.as_secs())
        });
        assert_eq!(waits, [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5)]);
    }
}
