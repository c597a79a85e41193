//! Gates, ledgers and what else is large, by numbers; and what each call makes of them, found
//! once.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, TicketId};
use sale::order::{Batch, OrderV1};

use crate::gate::local::model::{Called, Value, granted_at};
use crate::gate::{Decided, Figures, GateError, Settlement, Snapshot};
use crate::ledger::model::Books;
use crate::ledger::{Decision, Reached};

/// How long after its grant an order may be decided.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// Things by numbers.
struct Numbered<T> {
    numbers: HashMap<String, u32>,
    things: Vec<Arc<T>>,
}

impl<T: Debug> Numbered<T> {
    fn new() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }

    fn number(&mut self, thing: T) -> u32 {
        let next = u32::try_from(self.things.len()).expect("there are few");
        let number = *self.numbers.entry(format!("{thing:?}")).or_insert(next);
        if number == next {
            self.things.push(Arc::new(thing));
        }
        number
    }

    fn get(&self, number: u32) -> Arc<T> {
        self.things[number as usize].clone()
    }
}

/// A call of the gate, or what may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GateCall {
    /// These claims, with the number of the batch.
    Grant(u8, u8),
    Settle(u32),
    Resend,
    Warm(u32, Option<u64>),
    Freeze(u32),
    /// The counts, to one who knows of this incarnation and sequence.
    Look(u32, u64),
    Flush,
    Crash,
    /// It comes in the place of this one.
    Replace(u32),
}

/// What the gate answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Done,
    NotWarm,
    Recovering,
    /// Claims, as bits, that have a ticket by now, and the batch of those that were new.
    Tickets {
        held: u8,
        batch: Option<u32>,
    },
    Batches(Vec<u32>),
    Figures(Arc<Figures>),
}

/// What came of a call.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) after: u32,
    pub(super) heard: Heard,
    /// The answer waits for the disk.
    pub(super) waits: bool,
}

/// A call of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum BooksCall {
    Decide { batches: Vec<u32>, late: bool },
    Recover(u32),
    PassFence(u32),
    SetLoaded(u32),
}

/// What the ledger answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Done,
    /// Nothing was done.
    No,
    /// What the gate is to be told.
    Verdicts(u32),
    /// It had to refuse an order.
    Refused,
}

/// What the gate is to be told of a take.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdicts {
    settlements: Vec<Settlement>,
    decided: Vec<Decided>,
}

/// All that was found so far.
pub(super) struct Memo {
    claims: Vec<Claim>,
    calls: Vec<Vec<usize>>,
    gates: Numbered<Value>,
    books: Numbered<Books>,
    batches: Numbered<Arc<Batch>>,
    snapshots: Numbered<Snapshot>,
    verdicts: Numbered<Verdicts>,
    of_gate: HashMap<(u32, GateCall), Outcome>,
    of_books: HashMap<(u32, BooksCall), (u32, Said)>,
    figures: HashMap<u32, Option<Arc<Figures>>>,
    /// What was judged of pairs of gate and ledger.
    pub(super) judged: HashMap<(u32, u32), super::judge::Pair>,
    /// States from which all comes to rest.
    pub(super) healing: HashSet<u64>,
}

impl Memo {
    /// Nothing was found yet. Each of the `calls` of the gate brings some of the claims.
    pub(super) fn new(claims: Vec<Claim>, calls: Vec<Vec<usize>>) -> Self {
        Self {
            claims,
            calls,
            gates: Numbered::new(),
            books: Numbered::new(),
            batches: Numbered::new(),
            snapshots: Numbered::new(),
            verdicts: Numbered::new(),
            of_gate: HashMap::new(),
            of_books: HashMap::new(),
            figures: HashMap::new(),
            judged: HashMap::new(),
            healing: HashSet::new(),
        }
    }

    pub(super) fn number_gate(&mut self, gate: Value) -> u32 {
        self.gates.number(gate)
    }

    pub(super) fn number_books(&mut self, books: Books) -> u32 {
        self.books.number(books)
    }

    pub(super) fn gate(&self, number: u32) -> Arc<Value> {
        self.gates.get(number)
    }

    pub(super) fn books(&self, number: u32) -> Arc<Books> {
        self.books.get(number)
    }

    pub(super) fn batch(&self, number: u32) -> Arc<Batch> {
        Arc::clone(&self.batches.get(number))
    }

    pub(super) fn claim(&self, claim: usize) -> &Claim {
        &self.claims[claim]
    }

    pub(super) fn claims(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn calls(&self) -> &[Vec<usize>] {
        &self.calls
    }

    /// The claim that a ticket is of.
    pub(super) fn claim_of(&self, ticket: TicketId) -> usize {
        let found = self.claims.iter().position(|claim| claim.ticket == ticket);
        found.expect("nobody else claims")
    }

    /// The counts of the gate, asked by nobody.
    pub(super) fn figures(&mut self, gate: u32) -> Option<Arc<Figures>> {
        let gates = &self.gates;
        let count = || gates.get(gate).figures_in_memory().map(Arc::new);
        self.figures.entry(gate).or_insert_with(count).clone()
    }

    /// The gate as it is on disk before a write that changes it.
    pub(super) fn older(&mut self, before: u32, after: u32) -> Option<u32> {
        let (old, new) = (self.figures(before)?, self.figures(after)?);
        let moved = (old.incarnation, old.sequence) != (new.incarnation, new.sequence);
        moved.then(|| self.call_gate(before, GateCall::Crash).after)
    }

    /// The order of a claim as its token brings it back.
    pub(super) fn lone_batch(&mut self, claim: usize) -> u32 {
        let Claim { ticket, buyer, units } = self.claims[claim].clone();
        let order = OrderV1 { ticket, buyer, units, granted_at: granted_at(), incarnation: 0 };
        let id = BatchId([0x80 | u8::try_from(claim).expect("claims are few"); 16]);
        let batch = Batch::new(Value::INSTALL, id, 0, vec![order]).expect("it is one order");
        self.batches.number(Arc::new(batch))
    }

    pub(super) fn snapshot(&mut self, books: u32) -> u32 {
        let snapshot = self.books.get(books).snapshot();
        self.snapshots.number(snapshot)
    }

    /// The whole ledger, to be told to the gate.
    pub(super) fn everything(&mut self, books: u32) -> u32 {
        let settlements = self.books.get(books).orders.values().cloned().collect();
        self.verdicts.number(Verdicts { settlements, decided: Vec::new() })
    }

    pub(super) fn call_gate(&mut self, gate: u32, call: GateCall) -> Outcome {
        if let Some(found) = self.of_gate.get(&(gate, call)) {
            return found.clone();
        }
        let found = self.find_gate(gate, call);
        self.of_gate.insert((gate, call), found.clone());
        found
    }

    fn find_gate(&mut self, gate: u32, call: GateCall) -> Outcome {
        let value = self.gates.get(gate);
        match call {
            GateCall::Grant(which, number) => {
                let which = self.calls[usize::from(which)].clone();
                let claims: Vec<_> =
                    which.iter().map(|claim| self.claims[*claim].clone()).collect();
                let called = value.grant(BatchId([number; 16]), &claims);
                self.heard(called, |memo, grants| {
                    let mut held = 0;
                    for (claim, answer) in which.iter().zip(&grants.answers) {
                        if matches!(answer, Answer::Granted(_) | Answer::Standing(_)) {
                            held |= 1 << claim;
                        }
                    }
                    let batch = grants.batch.as_ref().map(Value::timeless);
                    let batch = batch.map(|batch| memo.batches.number(batch));
                    Heard::Tickets { held, batch }
                })
            }
            GateCall::Settle(verdicts) => {
                let Verdicts { settlements, decided } = &*self.verdicts.get(verdicts);
                self.heard(value.settle(settlements, decided), |_, ()| Heard::Done)
            }
            GateCall::Resend => self.heard(value.resend(), |memo, batches| {
                let number = |batch| memo.batches.number(batch);
                Heard::Batches(batches.into_iter().map(number).collect())
            }),
            GateCall::Warm(snapshot, over) => {
                let snapshot = self.snapshots.get(snapshot);
                self.heard(value.warm((*snapshot).clone(), over), |_, _warmed| Heard::Done)
            }
            GateCall::Freeze(incarnation) => {
                self.heard(value.freeze(incarnation), |_, ()| Heard::Done)
            }
            GateCall::Look(incarnation, sequence) => self
                .heard(value.figures(incarnation, sequence), |_, figures| {
                    Heard::Figures(Arc::new(figures))
                }),
            GateCall::Flush => self.silent(value.flushed()),
            GateCall::Crash => self.silent(value.crashed()),
            GateCall::Replace(lost) => {
                let lost = self.gates.get(lost);
                self.silent(value.in_place_of(&lost))
            }
        }
    }

    fn silent(&mut self, after: Value) -> Outcome {
        Outcome { after: self.gates.number(after), heard: Heard::Done, waits: false }
    }

    fn heard<T>(
        &mut self,
        called: Called<T>,
        heard: impl FnOnce(&mut Self, T) -> Heard,
    ) -> Outcome {
        let Called { answer, waits, after } = called;
        let heard = match answer {
            Ok(answer) => heard(self, answer),
            Err(GateError::NotWarm(_)) => Heard::NotWarm,
            Err(GateError::Recovering(_)) => Heard::Recovering,
            Err(other @ (GateError::Unavailable(_) | GateError::NotKnown)) => {
                panic!("a gate in memory answers: {other}")
            }
        };
        Outcome { after: self.gates.number(after), heard, waits }
    }

    pub(super) fn call_books(&mut self, books: u32, call: BooksCall) -> (u32, Said) {
        if let Some(found) = self.of_books.get(&(books, call.clone())) {
            return *found;
        }
        let found = self.find_books(books, &call);
        self.of_books.insert((books, call), found);
        found
    }

    fn find_books(&mut self, number: u32, call: &BooksCall) -> (u32, Said) {
        let books = self.books.get(number);
        match call {
            BooksCall::Decide { batches, late } => self.decide(number, batches, *late),
            BooksCall::Recover(incarnation) => {
                (self.books.number(books.recovered(*incarnation)), Said::Done)
            }
            BooksCall::PassFence(incarnation) => {
                (self.books.number(books.fence_passed(*incarnation, 0)), Said::Done)
            }
            BooksCall::SetLoaded(snapshot) => {
                match books.set_loaded(&self.snapshots.get(*snapshot)) {
                    Some(loaded) => (self.books.number(loaded), Said::Done),
                    None => (number, Said::No),
                }
            }
        }
    }

    fn decide(&mut self, number: u32, batches: &[u32], late: bool) -> (u32, Said) {
        let books = self.books.get(number);
        let batches: Vec<_> = batches.iter().map(|batch| self.batch(*batch)).collect();
        let mut seen = HashSet::new();
        let orders: Vec<_> = batches
            .iter()
            .flat_map(|batch| batch.orders())
            .filter(|order| seen.insert(order.ticket))
            .cloned()
            .collect();
        let now = granted_at().plus(if late { 2 * ANSWER_WITHIN } else { Duration::ZERO });
        let decided = books.decide(&orders, &Reached::of(&batches), now, ANSWER_WITHIN);
        let Some((decisions, after)) = decided else { return (number, Said::Refused) };
        let after = self.books.number(after);
        let mut settlements = Vec::new();
        for decision in decisions {
            match decision {
                Decision::Stands { buyer, ticket } => {
                    settlements.push(Settlement { ticket: ticket.id, buyer, state: ticket.state })
                }
                Decision::Foreign(_) | Decision::Failed(_, _) => return (after, Said::Refused),
            }
        }
        let decided = batches.iter().map(|batch| Decided::from(&**batch)).collect();
        (after, Said::Verdicts(self.verdicts.number(Verdicts { settlements, decided })))
    }
}
