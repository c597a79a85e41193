//! The local gate as a value, for the model: what a call makes of it, by the gate's own code.
//!
//! A value is what stands on disk and the effects that are not there yet; the round in memory is
//! rebuilt from both, as a start rebuilds it. Each call checks that this is the round that the
//! call left behind.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sale::grant::Claim;
use sale::id::{BatchId, InstallId};
use sale::order::Batch;
use sale::time::Timestamp;

use super::effect::Effect;
use super::journal::Journal;
use super::round::{PARTS, Replay, Round};
use super::{Arc, Inner, LocalGate, Mutex, Rounds, Seen, Settings};
use crate::gate::seen::Position;
use crate::gate::{Bounds, Decided, Figures, GateError, Grants, Settlement, Slot, Snapshot};

/// When everything is granted in the model, whose time stands still.
pub(crate) fn granted_at() -> Timestamp {
    Timestamp::from_millis(1_000).expect("it lies after 1970")
}

/// A gate of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    slot: Slot,
    /// Lines that build the round as it is on disk; none if it is not there.
    disk: Vec<String>,
    /// Lines that are not on disk yet, those of a call together.
    unwritten: Vec<Vec<String>>,
    /// What this process has seen of the gate.
    seen: (u32, u64),
}

/// What a call answered.
pub(crate) struct Called<T> {
    pub(crate) answer: Result<T, GateError>,
    /// The answer waits until all is on disk that is not there yet.
    pub(crate) waits: bool,
    pub(crate) after: Value,
}

impl Value {
    /// The database that it belongs to.
    pub(crate) const INSTALL: InstallId = InstallId([9; 16]);

    /// A gate without the round.
    pub(crate) fn empty(slot: Slot) -> Self {
        Self { slot, disk: Vec::new(), unwritten: Vec::new(), seen: (0, 0) }
    }

    /// A gate that was loaded from this.
    pub(crate) fn loaded(snapshot: Snapshot) -> Self {
        let slot = Slot::first(snapshot.terms.round);
        Self { disk: lines(&Round::from_snapshot(snapshot)), ..Self::empty(slot) }
    }

    pub(crate) fn grant(&self, batch: BatchId, claims: &[Claim]) -> Called<Grants> {
        self.call(async |gate| gate.grant(self.slot, batch, claims).await)
    }

    pub(crate) fn settle(&self, settlements: &[Settlement], decided: &[Decided]) -> Called<()> {
        self.call(async |gate| gate.settle(self.slot, settlements, decided).await)
    }

    pub(crate) fn resend(&self) -> Called<Vec<Arc<Batch>>> {
        self.call(async |gate| {
            let overdue = gate.resend(self.slot, usize::MAX).await?;
            Ok(overdue.iter().map(timeless_batch).collect())
        })
    }

    pub(crate) fn warm(&self, snapshot: Snapshot, over: Option<u64>) -> Called<bool> {
        self.call(async |gate| gate.warm(snapshot, over).await)
    }

    pub(crate) fn freeze(&self, incarnation: u32) -> Called<()> {
        self.call(async |gate| gate.freeze(self.slot, incarnation).await)
    }

    /// Its counts, to one who knows that it has come so far at least.
    pub(crate) fn figures(&self, incarnation: u32, sequence: u64) -> Called<Figures> {
        self.call(async |gate| {
            gate.expect(self.slot, Position { incarnation, sequence });
            gate.figures(self.slot).await
        })
    }

    /// Makes a call to the end, and checks what it left behind.
    fn call<T>(&self, call: impl AsyncFnOnce(&LocalGate) -> Result<T, GateError>) -> Called<T> {
        let (gate, written) = self.open();
        let (answer, waits) = {
            let mut future = pin!(call(&gate));
            let mut context = Context::from_waker(Waker::noop());
            match future.as_mut().poll(&mut context) {
                Poll::Ready(answer) => (answer, false),
                Poll::Pending => {
                    written.send_replace(u64::MAX);
                    let Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
                        panic!("a call waits for something else than the journal");
                    };
                    (answer, true)
                }
            }
        };
        let Inner { rounds, journal, expected, .. } = &*gate.0;
        let appended = journal.take_lines();
        let mut after = self.clone();
        if !appended.is_empty() {
            after.unwritten.push(appended);
        }
        let Position { incarnation, sequence } = expected.of(self.slot);
        after.seen = (incarnation, sequence);
        let left = rounds.find(self.slot).ok();
        let left = left.map(|round| lines(&round.lock().expect("no call has panicked")));
        let rebuilt = after.round().map(|round| lines(&round));
        assert_eq!(left, rebuilt, "the journal rebuilds another round than the one in memory");
        Called { answer, waits, after }
    }

    /// All effects are written down.
    pub(crate) fn flushed(&self) -> Self {
        let disk = self.round().map(|round| lines(&round)).unwrap_or_default();
        Self { disk, unwritten: Vec::new(), ..self.clone() }
    }

    /// The process dies and starts again: what was not on disk is gone, and so is what it had seen.
    pub(crate) fn crashed(&self) -> Self {
        Self { unwritten: Vec::new(), seen: (0, 0), ..self.clone() }
    }

    /// This gate in the place of another one that is lost, to a process that goes on.
    pub(crate) fn in_place_of(&self, lost: &Self) -> Self {
        Self { seen: lost.seen, ..self.crashed() }
    }

    /// The outbox as it is on disk.
    pub(crate) fn outbox_on_disk(&self) -> Vec<Arc<Batch>> {
        self.crashed().round().map(|round| batches(&round)).unwrap_or_default()
    }

    /// The tickets in memory.
    pub(crate) fn tickets(&self) -> Vec<Settlement> {
        self.round().map(|round| tickets(&round)).unwrap_or_default()
    }

    /// The counts of the round in memory, asked by nobody.
    pub(crate) fn figures_in_memory(&self) -> Option<Figures> {
        self.round().map(|round| round.figures())
    }

    /// A batch with the one time that there is.
    pub(crate) fn timeless(batch: &Arc<Batch>) -> Arc<Batch> {
        timeless_batch(batch)
    }

    /// The round in memory.
    fn round(&self) -> Option<Round> {
        let mut replay = Replay::default();
        for line in self.disk.iter().chain(self.unwritten.iter().flatten()) {
            replay.apply(serde_json::from_str(line).expect("the gate wrote it"));
        }
        replay.finish().remove(&self.slot)
    }

    fn open(&self) -> (LocalGate, tokio::sync::watch::Sender<u64>) {
        let tail = self.unwritten.len() as u64;
        let (journal, written) = Journal::unwritten(tail);
        let rounds = Rounds::default();
        if let Some(mut round) = self.round() {
            round.seen = tail;
            let round = Arc::new(Mutex::new(round));
            rounds.0.write().expect("nobody else has it").insert(self.slot, round);
        }
        let expected = Seen::default();
        let (incarnation, sequence) = self.seen;
        expected.raise(self.slot, Position { incarnation, sequence });
        // Everything is overdue at once.
        let bounds = Bounds {
            resend_after: std::time::Duration::ZERO,
            resend_most: std::time::Duration::ZERO,
            ..Bounds::default()
        };
        let settings = Settings { bounds, ..Settings::default() };
        let (rounds, install) = (Arc::new(rounds), Self::INSTALL);
        (LocalGate(Arc::new(Inner { install, settings, rounds, journal, expected })), written)
    }
}

impl Journal {
    /// The effects of the calls since it was opened, with the one time that there is.
    fn take_lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.unwritten_lines()).expect("lines are JSON");
        let effects = text.lines().map(|line| serde_json::from_str(line).expect("just written"));
        effects.map(timeless).map(|effect| line(&effect)).collect()
    }
}

/// A round as lines that build it, in one order and with the one time that there is.
fn lines(round: &Round) -> Vec<String> {
    let slot = Slot::first(round.terms.round).into();
    let tickets = Effect::Tickets { slot, tickets: tickets(round) };
    let outbox = Effect::Outbox { slot, batches: batches(round) };
    [round.head(), tickets, outbox].iter().map(line).collect()
}

fn tickets(round: &Round) -> Vec<Settlement> {
    let parts = (0..PARTS).filter_map(|part| round.tickets(part));
    let of_part = |effect| match timeless(effect) {
        Effect::Tickets { tickets, .. } => Some(tickets),
        Effect::Live { .. }
        | Effect::Outbox { .. }
        | Effect::Granted { .. }
        | Effect::Settled { .. }
        | Effect::Terms(_)
        | Effect::Restocked { .. }
        | Effect::Frozen { .. }
        | Effect::Retired { .. }
        | Effect::Probe => None,
    };
    let mut tickets: Vec<_> = parts.filter_map(of_part).flatten().collect();
    tickets.sort_by_key(|found| found.ticket.0);
    tickets
}

fn batches(round: &Round) -> Vec<Arc<Batch>> {
    let mut batches: Vec<_> = round.outbox.batches().iter().map(timeless_batch).collect();
    batches.sort_by_key(|batch| batch.id.0);
    batches
}

fn line(effect: &Effect) -> String {
    serde_json::to_string(effect).expect("effects have text keys and plain values only")
}

fn timeless(effect: Effect) -> Effect {
    let each = |mut found: Settlement| {
        found.state.granted_at = granted_at();
        found
    };
    let of = |tickets: Vec<Settlement>| tickets.into_iter().map(each).collect();
    match effect {
        Effect::Tickets { slot, tickets } => Effect::Tickets { slot, tickets: of(tickets) },
        Effect::Granted { counters, batch } => {
            Effect::Granted { counters, batch: timeless_batch(&batch) }
        }
        Effect::Outbox { slot, batches } => {
            Effect::Outbox { slot, batches: batches.iter().map(timeless_batch).collect() }
        }
        Effect::Settled { slot, counters, settlements, decided } => {
            Effect::Settled { slot, counters, settlements: of(settlements), decided }
        }
        other @ (Effect::Live { .. }
        | Effect::Terms(_)
        | Effect::Restocked { .. }
        | Effect::Frozen { .. }
        | Effect::Retired { .. }
        | Effect::Probe) => other,
    }
}

fn timeless_batch(batch: &Arc<Batch>) -> Arc<Batch> {
    let mut orders = batch.orders().to_vec();
    orders.iter_mut().for_each(|order| order.granted_at = granted_at());
    let batch = Batch::new(batch.install, batch.id, batch.sequence, orders);
    Arc::new(batch.expect("it was a batch before"))
}
