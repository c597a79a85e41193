//! The gate in this process: state in memory, and every effect journalled before the answer.

mod checkpoint;
mod effect;
mod journal;
#[cfg(test)]
pub(crate) mod model;
mod outbox;
mod round;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, InstallId, RoundId, TicketId};
use sale::order::Batch;
use sale::terms::{Restock, Terms};
use sale::ticket::TicketState;

use super::seen::{Position, Seen};
use super::{Bounds, Decided, Figures, GateError, Grants, Settlement, Slot, Snapshot};
use crate::clock;
use effect::{Counters, Effect};
use journal::{Journal, Lines};
use round::Round;

/// The bounds of the local gate.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Those of the outbox.
    pub bounds: Bounds,
    /// Bytes of journal after which a checkpoint is taken, if the last one was not larger; each
    /// row counts for 4 KiB beside its own.
    pub checkpoint_after: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bounds: Bounds::default(), checkpoint_after: 64 << 20 }
    }
}

/// The gate in this process. Clones share it.
#[derive(Clone)]
pub struct LocalGate(Arc<Inner>);

struct Inner {
    install: InstallId,
    settings: Settings,
    rounds: Arc<Rounds>,
    journal: Journal,
    expected: Seen,
}

/// The live rounds.
#[derive(Default)]
struct Rounds(RwLock<HashMap<Slot, Arc<Mutex<Round>>>>);

impl Rounds {
    fn find(&self, slot: Slot) -> Result<Arc<Mutex<Round>>, GateError> {
        let rounds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        rounds.get(&slot).cloned().ok_or(GateError::NotWarm(slot.round))
    }

    /// Works on the round of a slot. One that was replaced before it could be locked has its
    /// successor there.
    fn with<T>(
        &self,
        slot: Slot,
        work: impl FnOnce(&mut Round) -> Result<T, GateError>,
    ) -> Result<T, GateError> {
        loop {
            let round = self.find(slot)?;
            let mut round = locked(&round)?;
            if !round.replaced {
                return work(&mut round);
            }
        }
    }

    /// Removes this very round; one that was loaded in its place since then stays.
    fn remove(&self, slot: Slot, round: &Arc<Mutex<Round>>) {
        let mut rounds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if rounds.get(&slot).is_some_and(|present| Arc::ptr_eq(present, round)) {
            rounds.remove(&slot);
        }
    }

    fn slots(&self) -> Vec<Slot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// A panic while a round is changed leaves it in doubt, and what is in doubt must neither grant
/// nor enter a checkpoint: a restart rebuilds it from the journal.
fn locked(round: &Mutex<Round>) -> Result<MutexGuard<'_, Round>, GateError> {
    round.lock().map_err(|in_doubt| {
        let round = in_doubt.into_inner().terms.round;
        GateError::Unavailable(format!(
            "a change of round {round} was cut short by a panic: restart to rebuild it"
        ))
    })
}

impl LocalGate {
    /// Opens the gate's file and rebuilds its rounds. Every batch of the outbox is due at once.
    pub async fn open(
        path: &Path,
        install: InstallId,
        settings: Settings,
    ) -> Result<Self, GateError> {
        let rounds = Arc::new(Rounds::default());
        let journal =
            Journal::open(path, install, rounds.clone(), settings.checkpoint_after).await?;
        let expected = Seen::default();
        Ok(Self(Arc::new(Inner { install, settings, rounds, journal, expected })))
    }

    pub(super) async fn grant(
        &self,
        slot: Slot,
        id: BatchId,
        claims: &[Claim],
    ) -> Result<Grants, GateError> {
        let Inner { install, settings, journal, .. } = &*self.0;
        journal.accepts()?;
        let now = clock::now();
        self.look(slot, |round| {
            round.is_trusted()?;
            let (answers, orders) = round.grant(claims, settings, now);
            let batch = (!orders.is_empty()).then(|| {
                let batch = Batch::new(*install, id, round.next_sequence(), orders)
                    .expect("all claims of a call belong to one slot");
                let batch = Arc::new(batch);
                round.outbox.insert(batch.clone(), settings.bounds.resend_after);
                let counters = round.counters;
                round.seen = journal.append(&Effect::Granted { counters, batch: batch.clone() });
                batch
            });
            Ok(Grants { answers, batch, now })
        })
        .await
    }

    pub(super) async fn settle(
        &self,
        slot: Slot,
        settlements: &[Settlement],
        decided: &[Decided],
    ) -> Result<(), GateError> {
        self.change(slot, |round| {
            let settlements: Vec<_> =
                settlements.iter().filter(|new| round.settle(new)).cloned().collect();
            let ids = decided.iter().map(|decided| decided.batch);
            let decided: Vec<_> = ids.filter(|batch| round.outbox.remove(*batch)).collect();
            let changed = !settlements.is_empty() || !decided.is_empty();
            let effect = changed.then(|| {
                round.next_sequence();
                Effect::Settled {
                    slot: slot.into(),
                    counters: round.counters,
                    settlements,
                    decided,
                }
            });
            Ok((effect, ()))
        })
        .await
    }

    pub(super) async fn read(
        &self,
        slot: Slot,
        tickets: &[(TicketId, BuyerId)],
    ) -> Result<Vec<Option<TicketState>>, GateError> {
        self.look(slot, |round| {
            round.is_trusted()?;
            Ok(tickets.iter().map(|(ticket, buyer)| round.find(*ticket, buyer)).collect())
        })
        .await
    }

    pub(super) async fn resend(
        &self,
        slot: Slot,
        most: usize,
    ) -> Result<Vec<Arc<Batch>>, GateError> {
        let Bounds { resend_after, resend_most, .. } = self.0.settings.bounds;
        self.look(slot, |round| Ok(round.outbox.take_overdue(most, resend_after, resend_most)))
            .await
    }

    pub(super) async fn warm(
        &self,
        snapshot: Snapshot,
        over: Option<u64>,
    ) -> Result<bool, GateError> {
        let journal = &self.0.journal;
        journal.accepts()?;
        let slot = Slot::first(snapshot.terms.round);
        // A large round takes a while to build: not under the lock that every call takes.
        let round = Round::from_snapshot(snapshot);
        let lines = Lines::of(&round.effects());
        if !lines.fit() {
            return Err(GateError::Unavailable(format!(
                "round {} has more tickets than a local gate can load",
                slot.round
            )));
        }
        let (warmed, seen) = self.put(slot, round, lines, over)?;
        journal.flushed(seen).await?;
        Ok(warmed)
    }

    /// Puts a round in its place, unless one stands there that does not give way.
    fn put(
        &self,
        slot: Slot,
        mut round: Round,
        lines: Lines,
        over: Option<u64>,
    ) -> Result<(bool, u64), GateError> {
        let Inner { rounds, journal, .. } = &*self.0;
        let mut rounds = rounds.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = rounds.get(&slot) {
            let mut standing = locked(standing)?;
            if standing.retired || !standing.figures().gives_way(round.incarnation, over) {
                return Ok((false, standing.seen));
            }
            // A call that holds it already looks again: no effect of it may follow.
            standing.replaced = true;
        }
        round.seen = journal.append_lines(lines);
        let seen = round.seen;
        rounds.insert(slot, Arc::new(Mutex::new(round)));
        Ok((true, seen))
    }

    pub(super) fn expect(&self, slot: Slot, position: Position) {
        self.0.expected.raise(slot, position);
    }

    pub(super) async fn freeze(&self, slot: Slot, incarnation: u32) -> Result<(), GateError> {
        self.change(slot, |round| {
            let meant = round.incarnation <= incarnation;
            Ok((if meant { round.freeze() } else { None }, ()))
        })
        .await
    }

    pub(super) async fn set_terms(&self, terms: Terms) -> Result<(), GateError> {
        self.change(Slot::first(terms.round), |round| {
            let newer = terms.version > round.terms.version;
            if newer {
                round.terms = terms.clone();
            }
            Ok((newer.then(|| Effect::Terms(terms.clone())), ()))
        })
        .await
    }

    pub(super) async fn restock(
        &self,
        slot: Slot,
        key: &str,
        change: &Restock,
    ) -> Result<i32, GateError> {
        self.change(slot, |round| {
            round.is_trusted()?;
            if let Some(applied) = round.restocks.get(key) {
                return Ok((None, *applied));
            }
            let applied = round.restock(key, *change.get());
            round.next_sequence();
            let counters = round.counters;
            let slot = slot.into();
            let effect = Effect::Restocked { slot, counters, key: key.to_owned(), applied };
            Ok((Some(effect), applied))
        })
        .await
    }

    pub(super) async fn figures(&self, slot: Slot) -> Result<Figures, GateError> {
        self.look(slot, |round| Ok(round.figures())).await
    }

    pub(super) async fn retire(&self, round: RoundId) -> Result<(), GateError> {
        let Inner { rounds, journal, .. } = &*self.0;
        journal.accepts()?;
        let slot = Slot::first(round);
        let Ok(retired) = rounds.find(slot) else { return Ok(()) };
        let seen = {
            let mut round = locked(&retired)?;
            if !round.retired && !round.replaced {
                round.retired = true;
                round.seen = journal.append(&Effect::Retired { slot: slot.into() });
            }
            round.seen
        };
        journal.flushed(seen).await?;
        rounds.remove(slot, &retired);
        Ok(())
    }

    pub(super) async fn probe(&self) -> Result<(), GateError> {
        let journal = &self.0.journal;
        journal.accepts()?;
        journal.flushed(journal.append(&Effect::Probe)).await
    }

    pub(super) async fn close(&self) {
        self.0.journal.close().await;
    }

    /// Changes a round, journals the effect, and answers when the effect, and all that the
    /// answer rests on, is on disk.
    async fn change<T>(
        &self,
        slot: Slot,
        change: impl FnOnce(&mut Round) -> Result<(Option<Effect>, T), GateError>,
    ) -> Result<T, GateError> {
        let journal = &self.0.journal;
        journal.accepts()?;
        self.look(slot, |round| {
            let (effect, answer) = change(round)?;
            if let Some(effect) = effect {
                round.seen = journal.append(&effect);
            }
            Ok(answer)
        })
        .await
    }

    /// Looks at a round, and answers when all that was seen is on disk. One that is behind what
    /// is known of it is frozen first.
    async fn look<T>(
        &self,
        slot: Slot,
        look: impl FnOnce(&mut Round) -> Result<T, GateError>,
    ) -> Result<T, GateError> {
        let Inner { journal, expected, .. } = &*self.0;
        let known = expected.of(slot);
        let (answer, seen) = self.0.rounds.with(slot, |round| {
            round.is_live()?;
            if round.position() < known
                && let Some(effect) = round.freeze()
            {
                round.position().is_behind(known, slot);
                round.seen = journal.append(&effect);
            }
            let answer = look(round);
            expected.raise(slot, round.position());
            Ok((answer?, round.seen))
        })?;
        journal.flushed(seen).await?;
        Ok(answer)
    }
}

impl Counters {
    fn of(snapshot: &Snapshot) -> Self {
        let mut counters = Self { available: snapshot.available, held: 0, sold: 0, sequence: 0 };
        for ticket in &snapshot.tickets {
            counters.add(&ticket.state);
        }
        counters
    }
}
