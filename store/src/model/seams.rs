//! What buyers, workers and the keeper of rounds do at the seams.

use super::memo::{BooksCall, GateCall, Heard, Memo, Said};
use super::state::{Build, Message, State, Wrong};

pub(super) fn claims(memo: &mut Memo, state: &mut State, call: u8) {
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

pub(super) fn answer(state: &mut State, held: u8, batch: Option<u32>) {
    state.tokens |= held;
    state.log.extend(batch.map(Message::Batch));
}

pub(super) fn flush(memo: &mut Memo, state: &mut State) {
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

pub(super) fn decide(memo: &mut Memo, state: &mut State, w: usize, late: bool) {
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

pub(super) fn settle(memo: &mut Memo, state: &mut State, w: usize) {
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

pub(super) fn resend(memo: &mut Memo, state: &mut State) {
    let outcome = memo.call_gate(state.gate, GateCall::Resend);
    if let Heard::Batches(batches) = outcome.heard
        && !outcome.waits
    {
        state.gate = outcome.after;
        state.log.extend(batches.into_iter().map(Message::Batch));
    }
}

/// Whoever holds a token reads his ticket, and finds it nowhere in a round that does not recover.
pub(super) fn reread(memo: &mut Memo, state: &mut State, claim: usize) {
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

pub(super) fn look(memo: &mut Memo, state: &mut State) {
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

pub(super) fn fence(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    if !books.loaded && books.fences == 0 {
        state.log.insert(Message::Fence(books.incarnation));
    }
}

/// A rebuild waits for the fence and for the outbox of the older gate. It cannot know what other
/// workers have in hand.
pub(super) fn begin(memo: &mut Memo, state: &mut State, w: usize) {
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

pub(super) fn mark(memo: &mut Memo, state: &mut State, w: usize) {
    let Some(build) = state.workers[w].build else { return };
    let (after, said) = memo.call_books(state.books, BooksCall::SetLoaded(build.snapshot));
    state.books = after;
    let marked = Build { marked: true, ..build };
    state.workers[w].build = (said == Said::Done).then_some(marked);
}

pub(super) fn warm(memo: &mut Memo, state: &mut State, w: usize) {
    let Some(build) = state.workers[w].build.take() else { return };
    // Its answer changes nothing: the next look finds whether it is there.
    state.gate = memo.call_gate(state.gate, GateCall::Warm(build.snapshot, build.over)).after;
}

/// The gate holds more than is on its way, or knows less than the ledger.
pub(super) fn tell_all(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    let Some(gate) = memo.figures(state.gate) else { return };
    let accounted_for = gate.held <= gate.undecided_units;
    let all_known = gate.undecided > 0 || gate.sold >= u64::from(books.sold());
    if books.loaded && books.sale().loss_in(&gate).is_none() && !(accounted_for && all_known) {
        let everything = memo.everything(state.books);
        state.gate = memo.call_gate(state.gate, GateCall::Settle(everything)).after;
    }
}

pub(super) fn disagree(memo: &mut Memo, state: &mut State) {
    let books = memo.books(state.books);
    let Some(gate) = memo.figures(state.gate) else { return };
    let agree = (gate.available, gate.held, gate.sold)
        == (i64::from(books.available), 0, u64::from(books.sold()));
    if books.loaded && books.sale().loss_in(&gate).is_none() && !agree && gate.undecided == 0 {
        let call = BooksCall::Recover(books.incarnation);
        state.books = memo.call_books(state.books, call).0;
    }
}
