//! What may happen: calls at the seams, made by buyers, workers and the keeper of rounds, and
//! faults.

use std::sync::{Mutex, PoisonError};

use sale::grant::Claim;
use sale::id::{BuyerId, RequestId, RoundId, SaleId, Salt, Shard, TicketId};
use sale::terms::{Terms, Window};
use sale::time::Timestamp;
use sale::units::Units;
use stateright::{Model, Property};

use super::memo::{GateCall, Memo};
use super::state::{Faults, Message, State, Worker};
use super::{judge, seams};
use crate::gate::local::model::Value;
use crate::ledger::model::Books;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The claims of one call of the gate, for the first time or again.
    Claim(u8),
    /// The gate's journal is written, and who waited for it is answered.
    Flush,
    /// A worker takes a message.
    Take(usize, Message),
    /// What a worker took is decided, in time or too late.
    Decide(usize, bool),
    /// A worker tells the gate.
    Settle(usize),
    /// The sweeper publishes the outbox again.
    Resend,
    /// A read publishes an order again that neither gate nor ledger know.
    Reread(u8),
    /// The keeper looks at the round, and does what is to be done.
    Look,
    /// The fence is sent.
    Fence,
    /// A worker takes the snapshot to load the gate from.
    Begin(usize),
    /// The ledger marks the round as loaded.
    Mark(usize),
    /// The gate is loaded.
    Warm(usize),
    /// The gate is told all that the ledger knows.
    TellAll,
    /// Gate and ledger disagree for good.
    Disagree,
    /// The gate's process dies.
    Crash,
    /// A worker dies.
    Die(usize),
    /// The log loses a message.
    Drop(Message),
    /// The gate comes back empty or without its last write, to processes that died with it or
    /// that know how far it had come.
    Lose { all: bool, known: bool },
}

/// A sale of some units to some claims.
pub(super) struct Crowd {
    pub(super) stock: u32,
    pub(super) limit: u8,
    pub(super) faults: Faults,
    /// Incarnations of the gate that are looked at. What begins a further one is looked at, and
    /// whether it comes to rest.
    pub(super) incarnations: u32,
    /// Workers that do something: one or two.
    pub(super) workers: usize,
    /// Messages that a worker takes into hand together.
    pub(super) together: usize,
    /// The journal may lag behind the calls.
    pub(super) lags: bool,
    pub(super) memo: Mutex<Memo>,
}

impl Crowd {
    /// A sale of `stock` units, at most `limit` for one buyer. Each call of the gate brings some
    /// claims: of a buyer, by a request, for units.
    pub(super) fn new(
        stock: u32,
        limit: u8,
        faults: Faults,
        calls: &[&[(&str, &str, u64)]],
    ) -> Self {
        let mut claims = Vec::new();
        let mut which = Vec::new();
        for call in calls {
            let first = claims.len();
            claims.extend(call.iter().map(|(buyer, request, units)| claim(buyer, request, *units)));
            which.push((first..claims.len()).collect());
        }
        let memo = Mutex::new(Memo::new(claims, which));
        Self { stock, limit, faults, incarnations: 2, workers: 2, together: 1, lags: false, memo }
    }

    pub(super) fn memo(&self) -> std::sync::MutexGuard<'_, Memo> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn terms(&self) -> Terms {
        let at = |ms| Timestamp::from_millis(ms).expect("it lies within the range");
        Terms {
            sale: SaleId::new("s").expect("it is short"),
            round: ROUND,
            limit: Units::new(self.limit.into()).expect("it is small"),
            window: Window::new(at(0), at(4_000_000_000_000)).expect("it is not empty"),
            closed: false,
            version: 1,
        }
    }

    /// Every step that is no fault and no claim, in the order in which one who wants to end
    /// would take them.
    fn work(&self, state: &State) -> Vec<Step> {
        let mut steps = vec![Step::Flush];
        for (w, worker) in state.workers.iter().enumerate() {
            if let Some(build) = worker.build {
                steps.push(if build.marked { Step::Warm(w) } else { Step::Mark(w) });
            }
        }
        steps.push(Step::Look);
        for (w, worker) in state.workers.iter().enumerate() {
            if worker.verdicts.is_some() && !worker.told {
                steps.push(Step::Settle(w));
            }
            if worker.verdicts.is_none() && !worker.hand.is_empty() {
                steps.push(Step::Decide(w, false));
            }
        }
        steps.push(Step::Fence);
        let may_build = |w: &usize| state.workers[*w].build.is_none() && self.may_begin(state, *w);
        steps.extend((0..2).filter(may_build).map(Step::Begin));
        for (w, worker) in state.workers.iter().enumerate() {
            if self.may_begin(state, w) && worker.hand.len() < self.together {
                let free = state.log.iter().filter(|message| !worker.has(message));
                steps.extend(free.map(|message| Step::Take(w, *message)));
            }
        }
        steps.push(Step::Resend);
        let claims = u8::try_from(self.memo().claims()).expect("they are few");
        steps.extend((0..claims).map(Step::Reread));
        steps.extend([Step::TellAll, Step::Disagree]);
        steps
    }

    /// Whether a worker may take something up: as long as no more of them are at work.
    fn may_begin(&self, state: &State, w: usize) -> bool {
        let busy = |w: usize| state.workers[w] != Worker::default();
        busy(w) || (0..2).filter(|w| busy(*w)).count() < self.workers
    }

    fn faults(state: &State) -> Vec<Step> {
        let mut steps = Vec::new();
        let left = state.left;
        if left.crashes > 0 {
            steps.push(Step::Crash);
        }
        if left.deaths > 0 {
            let busy = (0..2).filter(|w| state.workers[*w] != Worker::default());
            steps.extend(busy.map(Step::Die));
        }
        if left.drops > 0 {
            steps.extend(state.log.iter().copied().map(Step::Drop));
        }
        if left.late > 0 {
            let may = |w: &usize| {
                let worker = &state.workers[*w];
                worker.verdicts.is_none() && !worker.hand.is_empty()
            };
            steps.extend((0..2).filter(may).map(|w| Step::Decide(w, true)));
        }
        if left.losses > 0 {
            let how = |all, known| Step::Lose { all, known };
            steps.extend([how(true, false), how(true, true)]);
            if state.older.is_some() {
                steps.extend([how(false, false), how(false, true)]);
            }
        }
        steps
    }

    /// The first step of the work that there is, if there is any: one that leads on. What is in
    /// another worker's hand is not waited for by taking it too.
    pub(super) fn next_work(&self, state: &State) -> Option<(Step, State)> {
        let in_hand = |step: &Step| matches!(step, Step::Take(_, message) if state.workers.iter().any(|worker| worker.has(message)));
        let steps = self.work(state).into_iter().filter(|step| !in_hand(step));
        steps.into_iter().find_map(|step| Some((step, self.next_state(state, step)?)))
    }

    fn step(&self, state: &mut State, step: Step) {
        let memo = &mut *self.memo();
        match step {
            Step::Claim(call) => seams::claims(memo, state, call),
            Step::Flush => seams::flush(memo, state),
            Step::Take(w, message) => {
                state.workers[w].hand.insert(message);
            }
            Step::Decide(w, late) => seams::decide(memo, state, w, late),
            Step::Settle(w) => seams::settle(memo, state, w),
            Step::Resend => seams::resend(memo, state),
            Step::Reread(claim) => seams::reread(memo, state, usize::from(claim)),
            Step::Look => seams::look(memo, state),
            Step::Fence => seams::fence(memo, state),
            Step::Begin(w) => seams::begin(memo, state, w),
            Step::Mark(w) => seams::mark(memo, state, w),
            Step::Warm(w) => seams::warm(memo, state, w),
            Step::TellAll => seams::tell_all(memo, state),
            Step::Disagree => seams::disagree(memo, state),
            Step::Crash => {
                state.left.crashes -= 1;
                state.gate = memo.call_gate(state.gate, GateCall::Crash).after;
                state.unanswered();
            }
            Step::Die(w) => {
                state.left.deaths -= 1;
                state.workers[w] = Worker::default();
            }
            Step::Drop(message) => {
                state.left.drops -= 1;
                state.log.remove(&message);
            }
            Step::Lose { all, known } => {
                state.left.losses -= 1;
                state.lost = true;
                let empty = memo.number_gate(Value::empty(crate::gate::Slot::first(ROUND)));
                let back = state.older.filter(|_| !all).unwrap_or(empty);
                let call = if known { GateCall::Replace(state.gate) } else { GateCall::Crash };
                state.gate = memo.call_gate(back, call).after;
                state.unanswered();
            }
        }
    }
}

const ROUND: RoundId = RoundId(7);

fn claim(buyer: &str, request: &str, units: u64) -> Claim {
    let buyer = BuyerId::new(buyer).expect("it is short");
    let request = RequestId::new(request).expect("it is short");
    Claim {
        ticket: TicketId::derive(ROUND, Shard::FIRST, &Salt([3; 32]), &buyer, &request),
        buyer,
        units: Units::new(units).expect("they are few"),
    }
}

impl Model for Crowd {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let books = Books::new(self.terms(), self.stock);
        let mut memo = self.memo();
        let gate = memo.number_gate(Value::loaded(books.snapshot()));
        let books = memo.number_books(books);
        vec![State {
            gate,
            older: None,
            books,
            log: Default::default(),
            workers: Default::default(),
            answers: Default::default(),
            tokens: 0,
            grants: 0,
            left: self.faults,
            lost: false,
            late: false,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let calls = u8::try_from(self.memo().calls().len()).expect("they are few");
        steps.extend((0..calls).map(Step::Claim));
        steps.extend(self.work(state));
        steps.extend(Self::faults(state));
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        self.step(&mut state, step);
        if !self.lags {
            seams::flush(&mut self.memo(), &mut state);
        }
        let remembers = state.left.losses > 0 && !matches!(step, Step::Lose { .. });
        let older = remembers.then(|| self.memo().older(before.gate, state.gate).or(before.older));
        state.older = older.flatten();
        state.workers.sort();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        judge::properties()
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.memo().books(state.books).incarnation <= self.incarnations
    }
}
