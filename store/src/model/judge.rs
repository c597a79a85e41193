//! What must hold in every state.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use sale::status::Status;
use stateright::Property;

use super::state::{State, Wrong};
use super::steps::Crowd;

/// What comes to pass in some states of some runs.
pub(super) const REJECTED: &str = "somebody is rejected";
pub(super) const REBUILT: &str = "a gate with sold units is rebuilt";

/// The longest way to rest.
const LONGEST_WAY: usize = 100;

/// What is wrong with a ledger and a gate beside it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pair {
    oversold: bool,
    limit_passed: bool,
    not_conserved: bool,
    told_before_commit: bool,
    overgranted: bool,
    rejected: bool,
    /// Tickets, as bits of their claims, that the ledger or the outbox on disk has.
    kept: u8,
    disagree: bool,
}

pub(super) fn properties() -> Vec<Property<Crowd>> {
    vec![
        Property::always("no more is confirmed than there is", |crowd: &Crowd, state: &State| {
            !pair(crowd, state).oversold
        }),
        Property::always(
            "nobody is confirmed more than the limit",
            |crowd: &Crowd, state: &State| !pair(crowd, state).limit_passed,
        ),
        Property::always(
            "units are conserved in gate and ledger",
            |crowd: &Crowd, state: &State| !pair(crowd, state).not_conserved,
        ),
        Property::always(
            "the gate tells no result that the ledger has not",
            |crowd: &Crowd, state: &State| !pair(crowd, state).told_before_commit,
        ),
        Property::always(
            "a gate that lost nothing grants no more than there is",
            |crowd: &Crowd, state: &State| state.lost || !pair(crowd, state).overgranted,
        ),
        Property::always(
            "what a gate that lost nothing granted is confirmed",
            |crowd: &Crowd, state: &State| state.lost || state.late || !pair(crowd, state).rejected,
        ),
        Property::always(
            "a token's order stands in the outbox or in the ledger",
            |crowd: &Crowd, state: &State| {
                state.lost || state.tokens & !pair(crowd, state).kept == 0
            },
        ),
        Property::always("a result never changes", |_, state: &State| {
            state.wrong != Some(Wrong::ChangedFinal)
        }),
        Property::always("the same request finds the same ticket", |_, state: &State| {
            state.wrong != Some(Wrong::LostTicket)
        }),
        Property::always("no key of the database has to refuse", |_, state: &State| {
            state.wrong != Some(Wrong::Refused)
        }),
        Property::always("all comes to rest, with a result for every token", comes_to_rest),
        Property::sometimes(REJECTED, |crowd: &Crowd, state: &State| pair(crowd, state).rejected),
        Property::sometimes(REBUILT, |crowd: &Crowd, state: &State| {
            let figures = crowd.memo().figures(state.gate);
            figures.is_some_and(|gate| gate.incarnation > 1 && gate.sold > 0)
        }),
    ]
}

fn pair(crowd: &Crowd, state: &State) -> Pair {
    let memo = &mut *crowd.memo();
    if let Some(judged) = memo.judged.get(&(state.gate, state.books)) {
        return *judged;
    }
    let books = memo.books(state.books);
    let gate = memo.gate(state.gate);
    let figures = memo.figures(state.gate);
    let stock = i64::from(crowd.stock);
    let confirmed = |row: &&crate::gate::Settlement| row.state.status == Status::Confirmed;
    let rows = books.orders.values();
    let sold: u32 = rows.clone().filter(confirmed).map(|row| row.state.held()).sum();
    let of_buyer = |buyer: &sale::id::BuyerId| -> u32 {
        let his = rows.clone().filter(confirmed).filter(|row| row.buyer == *buyer);
        his.map(|row| row.state.held()).sum()
    };
    let in_ledger = |found: &crate::gate::Settlement| {
        books.orders.get(&found.ticket).is_some_and(|row| row.state == found.state)
    };
    let outbox = gate.outbox_on_disk();
    let outbox = outbox.iter().flat_map(|batch| batch.orders()).map(|order| order.ticket);
    let kept = books.orders.keys().copied().chain(outbox);
    let taken =
        |gate: &crate::gate::Figures| i64::try_from(gate.held + gate.sold).unwrap_or(i64::MAX);
    let judged = Pair {
        oversold: sold > crowd.stock || books.available + sold != crowd.stock,
        limit_passed: rows.clone().any(|row| of_buyer(&row.buyer) > u32::from(crowd.limit)),
        not_conserved: figures.as_ref().is_some_and(|gate| gate.available + taken(gate) != stock),
        told_before_commit: gate
            .tickets()
            .iter()
            .any(|found| found.state.status.is_final() && !in_ledger(found)),
        overgranted: figures.as_ref().is_some_and(|gate| taken(gate) > stock),
        rejected: rows.clone().any(|row| row.state.status.reason().is_some()),
        kept: kept.fold(0, |bits, ticket| bits | 1 << memo.claim_of(ticket)),
        disagree: figures.is_none_or(|gate| {
            let live = !gate.frozen && books.loaded && gate.incarnation == books.incarnation;
            let counts = (gate.available, gate.held, gate.sold, gate.undecided)
                == (books.available.into(), 0, sold.into(), 0);
            !live || !counts
        }),
    };
    memo.judged.insert((state.gate, state.books), judged);
    judged
}

/// Whether the work that is left, done in one order without a further fault or claim, ends, and
/// then every token has a result and gate and ledger agree.
fn comes_to_rest(crowd: &Crowd, state: &State) -> bool {
    let fingerprint =
        |state: &State| BuildHasherDefault::<DefaultHasher>::default().hash_one(state);
    let (mut at, mut way) = (state.clone(), Vec::new());
    while way.len() < LONGEST_WAY {
        let here = fingerprint(&at);
        if crowd.memo().healing.contains(&here) {
            crowd.memo().healing.extend(way);
            return true;
        }
        way.push(here);
        match crowd.next_work(&at) {
            Some((_, next)) => at = next,
            None if is_at_rest(crowd, &at) => {
                crowd.memo().healing.extend(way);
                return true;
            }
            None => return false,
        }
    }
    false
}

fn is_at_rest(crowd: &Crowd, state: &State) -> bool {
    if pair(crowd, state).disagree || !state.log.is_empty() {
        return false;
    }
    let memo = crowd.memo();
    let books = memo.books(state.books);
    let token = |claim: &usize| state.tokens >> claim & 1 == 1;
    let decided = |claim: usize| books.orders.contains_key(&memo.claim(claim).ticket);
    (0..memo.claims()).filter(token).all(decided)
}
