//! The state of one slot in memory, and how calls and effects change it.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use sale::grant::{self, Answer, Claim};
use sale::id::{BuyerId, TicketId};
use sale::order::OrderV1;
use sale::record::{Record, Taken};
use sale::terms::Terms;
use sale::ticket::TicketState;
use sale::time::Timestamp;

use super::Settings;
use super::effect::{Counters, Effect, SlotKey};
use super::outbox::Outbox;
use crate::gate::seen::Position;
use crate::gate::{Figures, GateError, Settlement, Slot, Snapshot};

/// Parts that the records are kept in, so that a checkpoint holds the lock for one part only.
pub(super) const PARTS: usize = 64;

/// One slot of a live round.
pub(super) struct Round {
    pub(super) terms: Terms,
    pub(super) counters: Counters,
    pub(super) outbox: Outbox,
    pub(super) restocks: HashMap<String, i32>,
    /// The journal's position after the last effect of this slot: an answer waits for it.
    pub(super) seen: u64,
    pub(super) retired: bool,
    /// That of a later incarnation stands in its place.
    pub(super) replaced: bool,
    pub(super) incarnation: u32,
    frozen: bool,
    records: Vec<HashMap<BuyerId, Record>>,
    hasher: RandomState,
}

impl Round {
    fn new(terms: Terms, incarnation: u32, counters: Counters) -> Self {
        Self {
            terms,
            counters,
            outbox: Outbox::default(),
            restocks: HashMap::new(),
            seen: 0,
            retired: false,
            replaced: false,
            frozen: false,
            incarnation,
            records: vec![HashMap::new(); PARTS],
            hasher: RandomState::new(),
        }
    }

    /// A round as the ledger knows it.
    pub(super) fn from_snapshot(snapshot: Snapshot) -> Self {
        let counters = Counters::of(&snapshot);
        let mut round = Self::new(snapshot.terms, snapshot.incarnation, counters);
        round.restocks = snapshot.restocks.into_iter().collect();
        round.add_tickets(snapshot.tickets);
        round
    }

    /// Whether calls may use it.
    pub(super) fn is_live(&self) -> Result<(), GateError> {
        if self.retired { Err(GateError::NotWarm(self.terms.round)) } else { Ok(()) }
    }

    /// How far its writes have come.
    pub(super) fn position(&self) -> Position {
        let Self { incarnation, counters: Counters { sequence, .. }, .. } = *self;
        Position { incarnation, sequence }
    }

    /// Whether it may grant, change its stock and be read.
    pub(super) fn is_trusted(&self) -> Result<(), GateError> {
        if self.frozen { Err(GateError::Recovering(self.terms.round)) } else { Ok(()) }
    }

    /// Grants no more. The effect, unless it was frozen before.
    pub(super) fn freeze(&mut self) -> Option<Effect> {
        let first = !std::mem::replace(&mut self.frozen, true);
        first.then(|| {
            self.outbox.make_due();
            Effect::Frozen { slot: self.slot() }
        })
    }

    /// Its counts.
    pub(super) fn figures(&self) -> Figures {
        Figures {
            terms: self.terms.clone(),
            available: self.counters.available,
            held: self.counters.held,
            sold: self.counters.sold,
            undecided: self.outbox.orders(),
            undecided_units: self.outbox.units(),
            oldest: self.outbox.oldest(),
            incarnation: self.incarnation,
            sequence: self.counters.sequence,
            frozen: self.frozen,
        }
    }

    /// Counts one more write.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.counters.sequence += 1;
        self.counters.sequence
    }

    /// Decides claims one after the other, each after the effect of those before it.
    pub(super) fn grant(
        &mut self,
        claims: &[Claim],
        settings: &Settings,
        now: Timestamp,
    ) -> (Vec<Answer>, Vec<OrderV1>) {
        let mut orders = Vec::new();
        let empty = Record::default();
        let answers = claims.iter().map(|claim| {
            let part = self.part_of(&claim.buyer);
            let record = self.records[part].get(&claim.buyer).unwrap_or(&empty);
            let room =
                settings.bounds.outbox_most.saturating_sub(self.outbox.orders() + orders.len());
            let round = grant::Round {
                terms: &self.terms,
                available: self.counters.available,
                outbox_room: room,
                now,
            };
            let answer = round.answer(claim, record);
            if let Answer::Granted(state) = &answer {
                self.take(claim.ticket, &claim.buyer, *state);
                orders.push(OrderV1 {
                    ticket: claim.ticket,
                    buyer: claim.buyer.clone(),
                    units: claim.units,
                    granted_at: now,
                    incarnation: self.incarnation,
                });
            }
            answer
        });
        let answers = answers.collect();
        (answers, orders)
    }

    /// Takes the ledger's state of a ticket in. Answers whether it was newer.
    pub(super) fn settle(&mut self, new: &Settlement) -> bool {
        self.take(new.ticket, &new.buyer, new.state)
    }

    /// The one way a ticket's state enters: units move between stock and record by the
    /// difference, so that a second rejection returns nothing.
    fn take(&mut self, ticket: TicketId, buyer: &BuyerId, state: TicketState) -> bool {
        let part = self.part_of(buyer);
        let record = self.records[part].entry(buyer.clone()).or_default();
        match record.take(ticket, state) {
            Taken::Stale => false,
            Taken::Newer { before } => {
                let held = before.as_ref().map_or(0, TicketState::held);
                self.counters.available += i64::from(held) - i64::from(state.held());
                if let Some(before) = &before {
                    self.counters.remove(before);
                }
                self.counters.add(&state);
                true
            }
        }
    }

    /// Adds units, or takes back at most what is available.
    pub(super) fn restock(&mut self, key: &str, change: i32) -> i32 {
        let available = i32::try_from(self.counters.available.max(0)).unwrap_or(i32::MAX);
        let applied = change.max(-available);
        self.counters.available += i64::from(applied);
        self.restocks.insert(key.to_owned(), applied);
        applied
    }

    /// The state of a ticket in this buyer's record.
    pub(super) fn find(&self, ticket: TicketId, buyer: &BuyerId) -> Option<TicketState> {
        self.records[self.part_of(buyer)].get(buyer)?.find(ticket).copied()
    }

    /// All of it as effects that build it from nothing.
    pub(super) fn effects(&self) -> Vec<Effect> {
        let parts = (0..PARTS).filter_map(|part| self.tickets(part));
        std::iter::once(self.head()).chain(parts).collect()
    }

    /// Its terms and counters.
    pub(super) fn head(&self) -> Effect {
        Effect::Live {
            slot: self.slot(),
            terms: self.terms.clone(),
            incarnation: self.incarnation,
            counters: self.counters,
            restocks: self.restocks.iter().map(|(key, n)| (key.clone(), *n)).collect(),
            frozen: self.frozen,
        }
    }

    /// One part of its records, unless that is empty.
    pub(super) fn tickets(&self, part: usize) -> Option<Effect> {
        let tickets = |(buyer, record): (&BuyerId, &Record)| {
            let buyer = buyer.clone();
            let settlement = move |(ticket, state): &(TicketId, TicketState)| Settlement {
                ticket: *ticket,
                buyer: buyer.clone(),
                state: *state,
            };
            record.tickets().iter().map(settlement).collect::<Vec<_>>()
        };
        let tickets: Vec<_> = self.records[part].iter().flat_map(tickets).collect();
        (!tickets.is_empty()).then(|| Effect::Tickets { slot: self.slot(), tickets })
    }

    /// Its outbox, unless that is empty.
    pub(super) fn undecided(&self) -> Option<Effect> {
        let batches = self.outbox.batches();
        (!batches.is_empty()).then(|| Effect::Outbox { slot: self.slot(), batches })
    }

    fn slot(&self) -> SlotKey {
        Slot::first(self.terms.round).into()
    }

    fn part_of(&self, buyer: &BuyerId) -> usize {
        let hash = self.hasher.hash_one(buyer);
        usize::try_from(hash % PARTS as u64).expect("a part's number is small")
    }

    fn add_tickets(&mut self, tickets: impl IntoIterator<Item = Settlement>) {
        for Settlement { ticket, buyer, state } in tickets {
            let part = self.part_of(&buyer);
            self.records[part].entry(buyer).or_default().take(ticket, state);
        }
    }
}

/// Rebuilds rounds from effects, in the order they were written.
#[derive(Default)]
pub(super) struct Replay {
    rounds: HashMap<Slot, Round>,
}

impl Replay {
    /// Applies one effect. An effect of a round that is not there belongs to one that was
    /// retired after the checkpoint had begun, and has no effect. One that becomes live takes
    /// the place of what a checkpoint shows of the same number, be it of an earlier or of a
    /// later moment: all that happened to it since then follows.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Live { slot, terms, incarnation, counters, restocks, frozen } => {
                let mut round = Round::new(terms, incarnation, counters);
                round.restocks.extend(restocks);
                round.frozen = frozen;
                self.rounds.insert(slot.into(), round);
            }
            Effect::Tickets { slot, tickets } => {
                self.with(slot.into(), |round| round.add_tickets(tickets));
            }
            Effect::Outbox { slot, batches } => self.with(slot.into(), |round| {
                batches.into_iter().for_each(|batch| round.outbox.restore(batch));
            }),
            Effect::Granted { counters, batch } => {
                let slot = Slot { round: batch.round(), shard: batch.shard() };
                self.with(slot, |round| {
                    round.add_tickets(batch.orders().iter().map(Settlement::pending));
                    round.outbox.restore(batch);
                    round.counters = counters;
                });
            }
            Effect::Settled { slot, counters, settlements, decided } => {
                self.with(slot.into(), |round| {
                    round.add_tickets(settlements);
                    for batch in decided {
                        round.outbox.remove(batch);
                    }
                    round.counters = counters;
                });
            }
            Effect::Terms(terms) => {
                self.with(Slot::first(terms.round), |round| {
                    if terms.version > round.terms.version {
                        round.terms = terms;
                    }
                });
            }
            Effect::Restocked { slot, counters, key, applied } => {
                self.with(slot.into(), |round| {
                    round.restocks.insert(key, applied);
                    round.counters = counters;
                });
            }
            Effect::Frozen { slot } => self.with(slot.into(), |round| round.frozen = true),
            Effect::Retired { slot } => {
                self.rounds.remove(&slot.into());
            }
            Effect::Probe => {}
        }
    }

    fn with(&mut self, slot: Slot, change: impl FnOnce(&mut Round)) {
        if let Some(round) = self.rounds.get_mut(&slot) {
            change(round);
        }
    }

    /// What was rebuilt.
    pub(super) fn finish(self) -> HashMap<Slot, Round> {
        self.rounds
    }
}
