//! What may happen: calls at the seams, made by buyers, workers and the keeper of rounds, and
//! faults.

use std::sync::{Mutex, PoisonError};

use sale::grant::Claim;
use sale::id::{BuyerId, RequestId, RoundId, SaleId, Salt, Shard, TicketId};
use sale::terms::{Terms, Window};
use sale::time::Timestamp;
use sale::units::Units;
use stateright::{Model, Property};

use super::judge;
use super::memo::{BooksCall, GateCall, Heard, Memo, Said};
use super::state::{Build, Faults, Message, State, Worker, Wrong};
use crate::gate::local::model::Value;
use crate::ledger::model::Books;

/// Incarnations that are looked at.
const INCARNATIONS: u32 = 4;

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
    /// The gate is copied.
    Copy,
    /// The gate comes back empty (or as it was copied), to processes that died with it (or that
    /// know how far it had come).
    Lose { copied: bool, known: bool },
}

/// A sale of some units to some claims.
pub(super) struct Crowd {
    pub(super) stock: u32,
    pub(super) limit: u8,
    pub(super) faults: Faults,
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
        Self { stock, limit, faults, together: 1, lags: false, memo }
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
        steps.extend((0..2).filter(|w| state.workers[*w].build.is_none()).map(Step::Begin));
        for (w, worker) in state.workers.iter().enumerate() {
            if worker.hand.len() < self.together {
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
            let how = |copied, known| Step::Lose { copied, known };
            steps.extend([how(false, false), how(false, true)]);
            match state.older {
                Some(_) => steps.extend([how(true, false), how(true, true)]),
                None => steps.push(Step::Copy),
            }
        }
        steps
    }

    /// The first step of the work that there is, if there is any: one that leads on. What is in
    /// another worker's hand is not waited for by taking it too.
    pub(super) fn next_work(&self, state: &State) -> Option<(Step, State)> {
        let in_hand = |step: &Step| match step {
            Step::Take(_, message) => state.workers.iter().any(|worker| worker.has(message)),
            _ => false,
        };
        let steps = self.work(state).into_iter().filter(|step| !in_hand(step));
        steps.into_iter().find_map(|step| Some((step, self.next_state(state, step)?)))
    }

    fn step(&self, state: &mut State, step: Step) {
        let memo = &mut *self.memo();
        match step {
            Step::Claim(call) => claims(memo, state, call),
            Step::Flush => flush(memo, state),
            Step::Take(w, message) => {
                state.workers[w].hand.insert(message);
            }
            Step::Decide(w, late) => decide(memo, state, w, late),
            Step::Settle(w) => settle(memo, state, w),
            Step::Resend => resend(memo, state),
            Step::Reread(claim) => reread(memo, state, usize::from(claim)),
            Step::Look => look(memo, state),
            Step::Fence => fence(memo, state),
            Step::Begin(w) => begin(memo, state, w),
            Step::Mark(w) => mark(memo, state, w),
            Step::Warm(w) => warm(memo, state, w),
            Step::TellAll => tell_all(memo, state),
            Step::Disagree => disagree(memo, state),
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
            Step::Copy => {
                state.older = Some(memo.call_gate(state.gate, GateCall::Crash).after);
            }
            Step::Lose { copied, known } => {
                state.left.losses -= 1;
                state.lost = true;
                let empty = memo.number_gate(Value::empty(crate::gate::Slot::first(ROUND)));
                let back = state.older.filter(|_| copied).unwrap_or(empty);
                let call = if known { GateCall::Replace(state.gate) } else { GateCall::Crash };
                state.gate = memo.call_gate(back, call).after;
                state.unanswered();
                if state.left.losses == 0 {
                    state.older = None;
                }
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

impl Worker {
    fn has(&self, message: &Message) -> bool {
        let settles = self.verdicts.as_ref().is_some_and(|(_, of)| of.contains(message));
        settles || self.hand.contains(message)
    }
}

impl State {
    /// Nobody who waits for the gate hears of it. Who may ask again does.
    fn unanswered(&mut self) {
        self.answers.clear();
        self.workers.iter_mut().for_each(|worker| worker.told = false);
    }

    fn acknowledge(&mut self, w: usize) {
        self.workers[w].told = false;
        if let Some((_, batches)) = self.workers[w].verdicts.take() {
            self.log.retain(|message| !batches.contains(message));
        }
    }
}

fn claims(memo: &mut Memo, state: &mut State, call: u8) {
    let outcome = memo.call_gate(state.gate, GateCall::Grant(call, state.grants + 1));
    let Heard::Tickets { held, batch } = outcome.heard else { return };
    state.gate = outcome.after;
    if batch.is_some() {
        state.grants += 1;
    }
    let mine = memo.calls()[usize::from(call)].iter().fold(0, |bits, claim| bits | 1 << claim);
    if !state.lost && state.tokens & mine & !held != 0 {
        state.wrong = Some(Wrong::LostTicket);
    }
    if outcome.waits {
        state.answers.insert((held, batch));
    } else {
        answer(state, held, batch);
    }
}

fn answer(state: &mut State, held: u8, batch: Option<u32>) {
    state.tokens |= held;
    state.log.extend(batch.map(Message::Batch));
}

fn flush(memo: &mut Memo, state: &mut State) {
    state.gate = memo.call_gate(state.gate, GateCall::Flush).after;
    for (held, batch) in std::mem::take(&mut state.answers) {
        answer(state, held, batch);
    }
    for w in 0..2 {
        if state.workers[w].told {
            state.acknowledge(w);
        }
    }
}

fn decide(memo: &mut Memo, state: &mut State, w: usize, late: bool) {
    let hand = std::mem::take(&mut state.workers[w].hand);
    if late {
        state.left.late -= 1;
        state.late = true;
    }
    let batch = |message: &Message| match message {
        Message::Batch(batch) => Some(*batch),
        Message::Fence(_) => None,
    };
    let batches: Vec<_> = hand.iter().filter_map(batch).collect();
    if !batches.is_empty() {
        let before = memo.books(state.books);
        let call = BooksCall::Decide { batches: batches.clone(), late };
        let (after, said) = memo.call_books(state.books, call);
        state.books = after;
        match said {
            Said::Verdicts(verdicts) => {
                let of = batches.into_iter().map(Message::Batch).collect();
                state.workers[w].verdicts = Some((verdicts, of));
            }
            Said::Refused => state.wrong = Some(Wrong::Refused),
            Said::Done | Said::No => unreachable!("orders were decided"),
        }
        let after = memo.books(after);
        if before.orders.iter().any(|(ticket, row)| after.orders.get(ticket) != Some(row)) {
            state.wrong = Some(Wrong::ChangedFinal);
        }
    }
    for message in hand {
        if let Message::Fence(incarnation) = message {
            state.books = memo.call_books(state.books, BooksCall::PassFence(incarnation)).0;
            state.log.remove(&message);
        }
    }
}

fn settle(memo: &mut Memo, state: &mut State, w: usize) {
    let Some((verdicts, _)) = &state.workers[w].verdicts else { return };
    let outcome = memo.call_gate(state.gate, GateCall::Settle(*verdicts));
    state.gate = outcome.after;
    match outcome.heard {
        Heard::NotWarm if memo.books(state.books).loaded => {
            // They come again.
            state.workers[w].verdicts = None;
        }
        // It will be loaded from what stands in the ledger.
        Heard::NotWarm => state.acknowledge(w),
        Heard::Done if outcome.waits => state.workers[w].told = true,
        Heard::Done => state.acknowledge(w),
        other @ (Heard::Recovering
        | Heard::Tickets { .. }
        | Heard::Batches(_)
        | Heard::Figures(_)) => {
            unreachable!("a settle answered {other:?}")
        }
    }
}

fn resend(memo: &mut Memo, state: &mut State) {
    let outcome = memo.call_gate(state.gate, GateCall::Resend);
    if let Heard::Batches(batches) = outcome.heard
        && !outcome.waits
    {
        state.gate = outcome.after;
        state.log.extend(batches.into_iter().map(Message::Batch));
    }
}

/// Whoever holds a token reads his ticket, and finds it nowhere in a round that does not recover.
fn reread(memo: &mut Memo, state: &mut State, claim: usize) {
    let ticket = memo.claim(claim).ticket;
    let books = memo.books(state.books);
    let granted = state.tokens >> claim & 1 == 1;
    let trusted = memo.figures(state.gate).is_some_and(|gate| !gate.frozen);
    if !granted || !books.loaded || !trusted || books.orders.contains_key(&ticket) {
        return;
    }
    if memo.gate(state.gate).tickets().iter().any(|found| found.ticket == ticket) {
        return;
    }
    let lone = Message::Batch(memo.lone_batch(claim));
    state.log.insert(lone);
}

fn look(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    let (incarnation, sequence) = (books.incarnation, books.sequence);
    let outcome = memo.call_gate(state.gate, GateCall::Look(incarnation, sequence));
    state.gate = outcome.after;
    let recover = match (outcome.heard, books.loaded) {
        (Heard::NotWarm, loaded) => loaded,
        (Heard::Figures(gate), true) => books.sale().loss_in(&gate).is_some(),
        (Heard::Figures(gate), false) if gate.incarnation < incarnation && !gate.frozen => {
            state.gate = memo.call_gate(state.gate, GateCall::Freeze(incarnation - 1)).after;
            false
        }
        (Heard::Figures(_), false) => false,
        (other, _) => unreachable!("a look was answered {other:?}"),
    };
    if recover {
        state.books = memo.call_books(state.books, BooksCall::Recover(incarnation)).0;
    }
}

fn fence(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    if !books.loaded && books.fences == 0 {
        state.log.insert(Message::Fence(books.incarnation));
    }
}

/// A rebuild waits for the fence and for the outbox of the older gate. It cannot know what other
/// workers have in hand.
fn begin(memo: &mut Memo, state: &mut State, w: usize) {
    let books = memo.books(state.books);
    let old = memo.figures(state.gate);
    let drained = old.as_ref().is_none_or(|gate| {
        gate.frozen && gate.undecided == 0 && gate.incarnation < books.incarnation
    });
    if books.loaded || books.fences == 0 || !drained {
        return;
    }
    let snapshot = memo.snapshot(state.books);
    let over = old.map(|gate| gate.sequence);
    state.workers[w].build = Some(Build { snapshot, over, marked: false });
}

fn mark(memo: &mut Memo, state: &mut State, w: usize) {
    let Some(build) = state.workers[w].build else { return };
    let (after, said) = memo.call_books(state.books, BooksCall::SetLoaded(build.snapshot));
    state.books = after;
    let marked = Build { marked: true, ..build };
    state.workers[w].build = (said == Said::Done).then_some(marked);
}

fn warm(memo: &mut Memo, state: &mut State, w: usize) {
    let Some(build) = state.workers[w].build.take() else { return };
    // Its answer changes nothing: the next look finds whether it is there.
    state.gate = memo.call_gate(state.gate, GateCall::Warm(build.snapshot, build.over)).after;
}

/// The gate holds more than is on its way, or knows less than the ledger.
fn tell_all(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    let Some(gate) = memo.figures(state.gate) else { return };
    let accounted_for = gate.held <= gate.undecided_units;
    let all_known = gate.undecided > 0 || gate.sold >= u64::from(books.sold());
    if books.loaded && books.sale().loss_in(&gate).is_none() && !(accounted_for && all_known) {
        let everything = memo.everything(state.books);
        state.gate = memo.call_gate(state.gate, GateCall::Settle(everything)).after;
    }
}

fn disagree(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    let Some(gate) = memo.figures(state.gate) else { return };
    let agree = (gate.available, gate.held, gate.sold)
        == (i64::from(books.available), 0, u64::from(books.sold()));
    if books.loaded && books.sale().loss_in(&gate).is_none() && !agree && gate.undecided == 0 {
        let call = BooksCall::Recover(books.incarnation);
        state.books = memo.call_books(state.books, call).0;
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
            flush(&mut self.memo(), &mut state);
        }
        state.workers.sort();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        judge::properties()
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.memo().books(state.books).incarnation <= INCARNATIONS
    }
}
