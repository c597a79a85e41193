//! What every gate must do, whatever engine it runs on. Each function works on a round of its
//! own, so that all of them can share one engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sale::grant::{Answer, Claim};
use sale::id::{BatchId, BuyerId, RequestId, RoundId, SaleId, Salt, Shard, TicketId};
use sale::status::{Move, Reason, Status};
use sale::terms::{Restock, Terms, Window};
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::{Decided, Figures, Gate, GateError, Grants, Settlement, Slot, Snapshot};

/// A round of its own for one test.
pub(crate) struct Round {
    pub(crate) gate: Gate,
    pub(crate) slot: Slot,
    pub(crate) stock: i64,
}

fn fresh_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn fresh_batch() -> BatchId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&fresh_number().to_be_bytes());
    BatchId(id)
}

fn unknown() -> Decided {
    Decided { batch: fresh_batch(), sequence: 1 }
}

pub(crate) fn snapshot(gate: &Gate, stock: i64, limit: u64) -> Snapshot {
    let round = RoundId(fresh_number());
    let now = gate.now();
    let window = Window::new(now, now.plus(Duration::from_secs(3600))).unwrap();
    let terms = Terms {
        sale: SaleId::new(&format!("sale-{round}")).unwrap(),
        round,
        limit: Units::new(limit).unwrap(),
        window,
        closed: false,
        version: 1,
    };
    Snapshot { terms, incarnation: 1, available: stock, tickets: vec![], restocks: vec![] }
}

impl Round {
    pub(crate) async fn warm(gate: &Gate, stock: i64, limit: u64) -> Self {
        let snapshot = snapshot(gate, stock, limit);
        let slot = Slot::first(snapshot.terms.round);
        assert!(gate.warm(snapshot).await.unwrap());
        Self { gate: gate.clone(), slot, stock }
    }

    pub(crate) fn claim(&self, buyer: &str, request: &str, units: u64) -> Claim {
        let buyer = BuyerId::new(buyer).unwrap();
        let request = RequestId::new(request).unwrap();
        let salt = Salt([1; 32]);
        let ticket = TicketId::derive(self.slot.round, Shard::FIRST, &salt, &buyer, &request);
        Claim { ticket, buyer, units: Units::new(units).unwrap() }
    }

    pub(crate) async fn grant(&self, claims: &[Claim]) -> Grants {
        self.gate.grant(self.slot, fresh_batch(), claims).await.unwrap()
    }

    pub(crate) async fn figures(&self) -> Figures {
        self.gate.figures(self.slot).await.unwrap()
    }

    /// Units are conserved, at this quiet moment.
    pub(crate) async fn audit(&self) -> Figures {
        let figures = self.figures().await;
        let held = i64::try_from(figures.held + figures.sold).unwrap();
        assert_eq!(figures.available + held, self.stock, "{figures:?}");
        figures
    }

    pub(crate) fn verdict(&self, claim: &Claim, state: &TicketState, by: Move) -> Settlement {
        let at = state.granted_at.plus(Duration::from_millis(5));
        let state = state.after(by, at).unwrap();
        Settlement { ticket: claim.ticket, buyer: claim.buyer.clone(), state }
    }
}

fn granted(answer: &Answer) -> TicketState {
    match answer {
        Answer::Granted(state) => *state,
        other @ (Answer::Standing(_)
        | Answer::UnitsDiffer(_)
        | Answer::NotOpen
        | Answer::Closed
        | Answer::LimitReached(_)
        | Answer::SoldOut
        | Answer::TooFewLeft(_)
        | Answer::OutboxFull) => panic!("{other:?} where a grant was due"),
    }
}

/// A grant takes the units, stands in the record and lies in the outbox, all at once.
pub(crate) async fn a_grant_is_stock_record_and_outbox_in_one(gate: Gate) {
    let round = Round::warm(&gate, 3, 2).await;
    let claim = round.claim("ada", "r", 2);
    let grants = round.grant(std::slice::from_ref(&claim)).await;
    let state = granted(&grants.answers[0]);
    assert_eq!((state.version, state.status, state.granted_at), (1, Status::Pending, grants.now));
    let batch = grants.batch.unwrap();
    let [order] = batch.orders() else { panic!("one order a grant") };
    assert_eq!((order.ticket, &order.buyer), (claim.ticket, &claim.buyer));
    assert_eq!((order.granted_at, order.incarnation), (grants.now, 1));
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.undecided), (1, 2, 1));
    assert_eq!(batch.sequence, figures.sequence);
    let read = [(claim.ticket, claim.buyer)];
    assert_eq!(gate.read(round.slot, &read).await.unwrap(), [Some(state)]);
}

/// The same claim again, in later calls, finds its ticket; also when all is sold.
pub(crate) async fn a_retry_finds_its_ticket(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    let claim = round.claim("ada", "", 1);
    let state = granted(&round.grant(std::slice::from_ref(&claim)).await.answers[0]);
    let again = round.grant(&[claim, round.claim("bob", "", 1)]).await;
    assert_eq!(again.answers, [Answer::Standing(state), Answer::SoldOut]);
    assert!(again.batch.is_none(), "nothing was granted");
    round.audit().await;
}

/// Entries of one call see the effect of those before them, also of the same buyer twice.
pub(crate) async fn claims_of_one_call_see_each_other(gate: Gate) {
    let round = Round::warm(&gate, 2, 1).await;
    let claims = [
        round.claim("ada", "", 1),
        round.claim("ada", "", 1),
        round.claim("ada", "other", 1),
        round.claim("bob", "", 1),
        round.claim("cleo", "", 1),
    ];
    let answers = round.grant(&claims).await.answers;
    let state = granted(&answers[0]);
    assert_eq!(answers[1], Answer::Standing(state));
    assert_eq!(answers[2], Answer::LimitReached(vec![(claims[0].ticket, state)]));
    granted(&answers[3]);
    assert_eq!(answers[4], Answer::SoldOut);
    assert_eq!(round.audit().await.available, 0);
}

/// The same buyer twice in one call, with one unit left.
pub(crate) async fn the_same_buyer_twice_takes_one_unit_of_one(gate: Gate) {
    let round = Round::warm(&gate, 1, 2).await;
    let claims = [round.claim("ada", "r1", 1), round.claim("ada", "r2", 1)];
    let answers = round.grant(&claims).await.answers;
    granted(&answers[0]);
    assert_eq!(answers[1], Answer::SoldOut);
    round.audit().await;
}

/// Other units under the same request id, fewer left than asked, over the limit: each has an
/// answer of its own, and takes nothing.
pub(crate) async fn refusals_have_answers_of_their_own(gate: Gate) {
    let round = Round::warm(&gate, 3, 4).await;
    let first = round.claim("ada", "r", 2);
    let state = granted(&round.grant(std::slice::from_ref(&first)).await.answers[0]);
    let answers = round
        .grant(&[
            round.claim("ada", "r", 1),
            round.claim("bob", "r", 2),
            round.claim("ada", "r2", 3),
        ])
        .await
        .answers;
    assert_eq!(answers[0], Answer::UnitsDiffer(state));
    assert_eq!(answers[1], Answer::TooFewLeft(1));
    assert_eq!(answers[2], Answer::LimitReached(vec![(first.ticket, state)]));
    assert_eq!(round.audit().await.available, 1);
}

/// Crowds of buyers at once get exactly the stock.
pub(crate) async fn a_crowd_gets_exactly_the_stock(gate: Gate) {
    let round = Round::warm(&gate, 500, 1).await;
    let calls = (0..40).map(|call| {
        let claims: Vec<_> =
            (0..300).map(|n| round.claim(&format!("b{}", call * 300 + n), "", 1)).collect();
        let (gate, slot) = (gate.clone(), round.slot);
        async move { gate.grant(slot, fresh_batch(), &claims).await.unwrap() }
    });
    let mut set = tokio::task::JoinSet::new();
    calls.for_each(|call| {
        set.spawn(call);
    });
    let (mut grants, mut orders) = (0, 0);
    for call in set.join_all().await {
        grants += call.answers.iter().filter(|a| matches!(a, Answer::Granted(_))).count();
        orders += call.batch.map_or(0, |batch| batch.orders().len());
    }
    assert_eq!((grants, orders), (500, 500));
    assert_eq!(round.audit().await.available, 0);
}

/// A round that is not loaded is never "sold out", for any call.
pub(crate) async fn a_round_that_is_not_loaded_says_so(gate: Gate) {
    let snapshot = snapshot(&gate, 1, 1);
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 1 };
    let claim = round.claim("ada", "", 1);
    let tickets = [(claim.ticket, claim.buyer.clone())];
    let not_warm = |result: Result<(), GateError>| {
        assert!(matches!(result, Err(GateError::NotWarm(id)) if id == slot.round), "{result:?}");
    };
    not_warm(gate.grant(slot, fresh_batch(), std::slice::from_ref(&claim)).await.map(drop));
    not_warm(gate.settle(slot, &[], &[unknown()]).await);
    not_warm(gate.read(slot, &tickets).await.map(drop));
    not_warm(gate.resend(slot, 1).await.map(drop));
    not_warm(gate.figures(slot).await.map(drop));
    not_warm(gate.set_terms(snapshot.terms.clone()).await);
    not_warm(gate.restock(slot, "k", &Restock::new(1).unwrap()).await.map(drop));
    assert!(gate.warm(snapshot).await.unwrap());
    granted(&round.grant(&[claim]).await.answers[0]);
}

/// The window is checked by the gate's clock; new terms take effect, older ones do not.
pub(crate) async fn terms_move_forward_only_and_never_touch_stock(gate: Gate) {
    let mut snapshot = snapshot(&gate, 2, 1);
    let slot = Slot::first(snapshot.terms.round);
    let now = gate.now();
    let hour = |n: u64| now.plus(Duration::from_secs(3600 * n));
    snapshot.terms.window = Window::new(hour(1), hour(2)).unwrap();
    let mut terms = snapshot.terms.clone();
    assert!(gate.warm(snapshot).await.unwrap());
    let round = Round { gate: gate.clone(), slot, stock: 2 };
    let claim = round.claim("ada", "", 1);
    let once = std::slice::from_ref(&claim);
    assert_eq!(round.grant(once).await.answers, [Answer::NotOpen]);
    terms.window = Window::new(now, hour(2)).unwrap();
    terms.version = 2;
    gate.set_terms(terms.clone()).await.unwrap();
    let state = granted(&round.grant(once).await.answers[0]);
    let (mut older, mut newer) = (terms.clone(), terms);
    (older.closed, older.version) = (true, 2);
    gate.set_terms(older).await.unwrap();
    assert!(!round.figures().await.terms.closed, "terms of the same version change nothing");
    (newer.closed, newer.version) = (true, 3);
    gate.set_terms(newer).await.unwrap();
    let answers = round.grant(&[claim, round.claim("bob", "", 1)]).await.answers;
    assert_eq!(answers, [Answer::Standing(state), Answer::Closed]);
    assert_eq!(round.audit().await.available, 1);
}

/// A verdict enters the record once; a rejection gives the units back once.
pub(crate) async fn a_second_rejection_returns_nothing(gate: Gate) {
    let round = Round::warm(&gate, 2, 1).await;
    let (ada, bob) = (round.claim("ada", "", 1), round.claim("bob", "", 1));
    let grants = round.grant(&[ada.clone(), bob.clone()]).await;
    let batch = Decided::from(&*grants.batch.unwrap());
    let rejected =
        round.verdict(&ada, &granted(&grants.answers[0]), Move::Reject(Reason::Deadline));
    let confirmed = round.verdict(&bob, &granted(&grants.answers[1]), Move::Confirm);
    let settlements = [rejected.clone(), confirmed.clone()];
    for _ in 0..3 {
        gate.settle(round.slot, &settlements, &[batch]).await.unwrap();
    }
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.sold), (1, 0, 1));
    assert_eq!(figures.undecided, 0);
    let tickets = [(ada.ticket, ada.buyer.clone()), (bob.ticket, bob.buyer.clone())];
    let read = gate.read(round.slot, &tickets).await.unwrap();
    assert_eq!(read, [Some(rejected.state), Some(confirmed.state)]);
    let mut older = confirmed;
    older.state = granted(&grants.answers[1]);
    gate.settle(round.slot, &[older], &[]).await.unwrap();
    assert_eq!(gate.read(round.slot, &tickets).await.unwrap(), read, "a version never goes back");
    let answers = round.grant(&[ada, round.claim("ada", "new", 1)]).await.answers;
    assert_eq!(answers[0], Answer::Standing(rejected.state));
    granted(&answers[1]);
}

/// A verdict on a ticket that the gate forgot takes its units, below zero if need be.
pub(crate) async fn a_forgotten_ticket_takes_its_units_as_a_debt(gate: Gate) {
    let mut round = Round::warm(&gate, 1, 2).await;
    let known = round.claim("ada", "", 1);
    granted(&round.grant(&[known]).await.answers[0]);
    let forgotten = round.claim("bob", "", 2);
    let state = TicketState::pending(forgotten.units, gate.now());
    let settlement = round.verdict(&forgotten, &state, Move::Confirm);
    gate.settle(round.slot, &[settlement], &[]).await.unwrap();
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.sold), (-2, 2));
    assert_eq!(round.grant(&[round.claim("cleo", "", 1)]).await.answers, [Answer::SoldOut]);
    let applied = gate.restock(round.slot, "k", &Restock::new(3).unwrap()).await.unwrap();
    round.stock += i64::from(applied);
    granted(&round.grant(&[round.claim("cleo", "", 1)]).await.answers[0]);
    round.audit().await;
}

/// A batch stays in the outbox until it is named as decided, and by its own id only.
pub(crate) async fn the_outbox_keeps_what_is_undecided(gate: Gate) {
    let round = Round::warm(&gate, 10, 1).await;
    let mut batches = HashMap::new();
    for buyer in ["ada", "bob", "cleo"] {
        let batch = round.grant(&[round.claim(buyer, "", 1)]).await.batch.unwrap();
        batches.insert(batch.id, batch);
    }
    assert!(gate.resend(round.slot, 10).await.unwrap().is_empty(), "nothing is overdue at once");
    gate.settle(round.slot, &[], &[unknown()]).await.unwrap();
    assert_eq!(round.figures().await.undecided, 3);
    let decided: Vec<_> = batches.values().map(|batch| Decided::from(&**batch)).take(2).collect();
    gate.settle(round.slot, &[], &decided).await.unwrap();
    assert_eq!(round.figures().await.undecided, 1);
    round.audit().await;
}

/// Stock changes are relative, apply once a key, and take back at most what is available.
pub(crate) async fn restock_applies_once_a_key(gate: Gate) {
    let mut round = Round::warm(&gate, 5, 1).await;
    granted(&round.grant(&[round.claim("ada", "", 1)]).await.answers[0]);
    for _ in 0..2 {
        let applied = gate.restock(round.slot, "up", &Restock::new(10).unwrap()).await.unwrap();
        assert_eq!(applied, 10);
    }
    for _ in 0..2 {
        let down = Restock::new(-100).unwrap();
        assert_eq!(gate.restock(round.slot, "down", &down).await.unwrap(), -14);
    }
    let none = Restock::new(-1).unwrap();
    assert_eq!(gate.restock(round.slot, "none", &none).await.unwrap(), 0);
    round.stock = 1;
    assert_eq!(round.audit().await.available, 0);
}

/// Loading a round takes the ledger's tickets in, and never replaces a live one.
pub(crate) async fn warming_never_overwrites_a_live_round(gate: Gate) {
    let mut snapshot = snapshot(&gate, 40, 1);
    let slot = Slot::first(snapshot.terms.round);
    let mut round = Round { gate: gate.clone(), slot, stock: 100 };
    let at = gate.now();
    let claims: Vec<_> = (0..61).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
    snapshot.tickets = claims
        .iter()
        .enumerate()
        .map(|(n, claim)| {
            let by = if n < 60 { Move::Confirm } else { Move::Reject(Reason::Limit) };
            round.verdict(claim, &TicketState::pending(claim.units, at), by)
        })
        .collect();
    snapshot.restocks = vec![("k".into(), 7)];
    let stale = snapshot.clone();
    assert!(gate.warm(snapshot).await.unwrap());
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.sold, figures.undecided), (40, 60, 0));
    let answers = round.grant(&claims).await.answers;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Standing(_))));
    granted(&round.grant(&[round.claim("late", "", 1)]).await.answers[0]);
    assert!(!gate.warm(stale).await.unwrap());
    assert_eq!(round.audit().await.available, 39);
    let applied = gate.restock(slot, "k", &Restock::new(7).unwrap()).await.unwrap();
    assert_eq!(applied, 7, "the snapshot contained it");
    round.stock = 100;
    round.audit().await;
}

/// A retired round is not loaded any more, and retiring twice is one.
pub(crate) async fn a_retired_round_is_gone(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    gate.retire(round.slot.round).await.unwrap();
    gate.retire(round.slot.round).await.unwrap();
    let refused = gate.figures(round.slot).await;
    assert!(matches!(refused, Err(GateError::NotWarm(_))), "{refused:?}");
}

/// A ticket is found by its own buyer only.
pub(crate) async fn a_read_by_another_buyer_finds_nothing(gate: Gate) {
    let round = Round::warm(&gate, 2, 1).await;
    let ada = round.claim("ada", "", 1);
    granted(&round.grant(std::slice::from_ref(&ada)).await.answers[0]);
    let bob = BuyerId::new("bob").unwrap();
    let read = [(ada.ticket, bob.clone()), (round.claim("bob", "", 1).ticket, bob)];
    assert_eq!(gate.read(round.slot, &read).await.unwrap(), [None, None]);
}

/// The probe goes the way of a grant and changes nothing.
pub(crate) async fn a_probe_changes_nothing(gate: Gate) {
    let round = Round::warm(&gate, 2, 1).await;
    let before = round.audit().await;
    gate.probe().await.unwrap();
    assert_eq!(round.audit().await, before);
}
