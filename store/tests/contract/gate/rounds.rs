//! How a round comes, changes and goes: loading, terms, stock changes, retirement.

use std::time::Duration;

use sale::grant::Answer;
use sale::status::{Move, Reason};
use sale::terms::{Restock, Window};
use sale::ticket::TicketState;
use store::gate::{Decided, Gate, Slot, Snapshot};
use tokio::task::JoinSet;

use super::{Round, fresh_batch, is_not_warm, snapshot};

/// A round that is not loaded is never "sold out", for any call.
pub(crate) async fn a_round_that_is_not_loaded_says_so(gate: Gate) {
    let snapshot = snapshot(&gate, 1, 1);
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 1 };
    let claim = round.claim("ada", "", 1);
    let state = TicketState::pending(claim.units, gate.now());
    let verdict = round.verdict(&claim, &state, Move::Confirm);
    let tickets = [(claim.ticket, claim.buyer.clone())];
    let decided = [Decided { batch: fresh_batch(), sequence: 1 }];
    is_not_warm(&gate.grant(slot, fresh_batch(), std::slice::from_ref(&claim)).await, slot);
    is_not_warm(&gate.grant(slot, fresh_batch(), &[]).await, slot);
    is_not_warm(&gate.settle(slot, &[], &decided).await, slot);
    is_not_warm(&gate.settle(slot, &[verdict], &[]).await, slot);
    is_not_warm(&gate.read(slot, &tickets).await, slot);
    is_not_warm(&gate.resend(slot, 1).await, slot);
    is_not_warm(&gate.figures(slot).await, slot);
    is_not_warm(&gate.set_terms(snapshot.terms.clone()).await, slot);
    is_not_warm(&gate.restock(slot, "k", &Restock::new(1).unwrap()).await, slot);
    gate.retire(slot.round).await.unwrap();
    assert!(gate.warm(snapshot, None).await.unwrap());
    assert_eq!(round.audit().await.available, 1, "none of those calls had an effect");
    round.granted(&claim).await;
}

/// The window is checked by the gate's clock; new terms take effect, older ones do not.
pub(crate) async fn terms_move_forward_only_and_never_touch_stock(gate: Gate) {
    let mut snapshot = snapshot(&gate, 2, 1);
    let slot = Slot::first(snapshot.terms.round);
    let now = gate.now();
    let hour = |n: u64| now.plus(Duration::from_secs(3600 * n));
    snapshot.terms.window = Window::new(hour(1), hour(2)).unwrap();
    let mut terms = snapshot.terms.clone();
    assert!(gate.warm(snapshot, None).await.unwrap());
    let round = Round { gate: gate.clone(), slot, stock: 2 };
    let claim = round.claim("ada", "", 1);
    let once = std::slice::from_ref(&claim);
    assert_eq!(round.grant(once).await.answers, [Answer::NotOpen]);
    terms.window = Window::new(now, hour(2)).unwrap();
    terms.version = 2;
    gate.set_terms(terms.clone()).await.unwrap();
    assert_eq!(round.figures().await.terms, terms);
    let state = round.granted(&claim).await;
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

/// Stock changes are relative, apply once a key, and take back at most what is available.
pub(crate) async fn restock_applies_once_a_key(gate: Gate) {
    let mut round = Round::warm(&gate, 5, 1).await;
    round.granted(&round.claim("ada", "", 1)).await;
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
    for odd in ["a b", "\"", "\n", "up\0", "é", "{1:0}", ""] {
        for _ in 0..2 {
            let applied = gate.restock(round.slot, odd, &Restock::new(1).unwrap()).await.unwrap();
            assert_eq!(applied, 1, "{odd:?}");
        }
        round.stock += 1;
        round.audit().await;
    }
}

/// The highest stock that a sale may have, taken to zero and back.
pub(crate) async fn stock_near_its_highest_is_counted_exactly(gate: Gate) {
    let most = i64::from(i32::MAX);
    let mut round = Round::warm(&gate, most, 64).await;
    round.granted(&round.claim("ada", "", 64)).await;
    assert_eq!(round.audit().await.available, most - 64);
    let down = Restock::new(-i32::MAX).unwrap();
    let applied = gate.restock(round.slot, "down", &down).await.unwrap();
    assert_eq!(i64::from(applied), 64 - most);
    round.stock = 64;
    assert_eq!(round.audit().await.available, 0);
    assert_eq!(round.grant(&[round.claim("bob", "", 1)]).await.answers, [Answer::SoldOut]);
    let up = Restock::new(i32::MAX).unwrap();
    assert_eq!(gate.restock(round.slot, "up", &up).await.unwrap(), i32::MAX);
    round.stock += most;
    round.granted(&round.claim("bob", "", 1)).await;
    assert_eq!(round.audit().await.available, most - 1);
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
    assert!(gate.warm(snapshot, None).await.unwrap());
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.sold, figures.undecided), (40, 60, 0));
    let answers = round.grant(&claims).await.answers;
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Standing(_))));
    let second = round.grant(&[round.claim("b0", "another", 1)]).await.answers;
    assert!(matches!(&second[0], Answer::LimitReached(held) if held.len() == 1), "{second:?}");
    round.granted(&round.claim("late", "", 1)).await;
    assert!(!gate.warm(stale, None).await.unwrap());
    assert_eq!(round.audit().await.available, 39);
    let applied = gate.restock(slot, "k", &Restock::new(7).unwrap()).await.unwrap();
    assert_eq!(applied, 7, "the snapshot contained it");
    round.stock = 100;
    round.audit().await;
}

/// Several workers load a round at once: it is that of one of them, whole.
pub(crate) async fn of_several_warmers_at_once_one_wins(gate: Gate) {
    let snapshot = snapshot(&gate, 0, 1);
    let slot = Slot::first(snapshot.terms.round);
    let mut round = Round { gate: gate.clone(), slot, stock: 0 };
    let mut warmers = JoinSet::new();
    for n in 1..=8_i64 {
        let (gate, mut snapshot) = (gate.clone(), snapshot.clone());
        let claim = round.claim(&format!("only-in-{n}"), "", 1);
        let state = TicketState::pending(claim.units, gate.now());
        snapshot.available = n;
        snapshot.incarnation = u32::try_from(n).unwrap();
        snapshot.tickets = vec![round.verdict(&claim, &state, Move::Confirm)];
        snapshot.restocks = vec![("k".into(), i32::try_from(n).unwrap())];
        warmers.spawn(async move { (n, claim, gate.warm(snapshot, None).await.unwrap()) });
    }
    let warmers = warmers.join_all().await;
    let winners: Vec<_> = warmers.iter().filter(|(_, _, won)| *won).collect();
    let [(winner, _, _)] = winners[..] else { panic!("{} winners", winners.len()) };
    round.stock = winner + 1;
    assert_eq!(round.audit().await.available, *winner);
    for (n, claim, _) in &warmers {
        assert_eq!(round.read(claim).await.is_some(), n == winner, "{n}");
    }
    let applied = gate.restock(slot, "k", &Restock::new(1).unwrap()).await.unwrap();
    assert_eq!(i64::from(applied), *winner);
    let batch = round.grant(&[round.claim("ada", "", 1)]).await.batch.unwrap();
    assert_eq!(i64::from(batch.orders()[0].incarnation), *winner);
    round.audit().await;
}

/// Nobody writes an absolute figure over a live stock: a snapshot that comes late, again and
/// again, leaves a round alone while it sells.
pub(crate) async fn a_late_snapshot_changes_nothing_while_claims_go_on(gate: Gate) {
    let snapshot = snapshot(&gate, 200, 1);
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 200 };
    assert!(gate.warm(snapshot.clone(), None).await.unwrap());
    let mut tasks = JoinSet::new();
    for worker in 0..2 {
        let round = round.clone();
        tasks.spawn(async move {
            for n in 0..100 {
                round.granted(&round.claim(&format!("b{worker}-{n}"), "", 1)).await;
            }
        });
    }
    tasks.spawn(async move {
        for _ in 0..50 {
            assert!(!gate.warm(snapshot.clone(), None).await.unwrap());
        }
    });
    tasks.join_all().await;
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.undecided), (0, 200, 200));
}

/// A round with more tickets than fit into one call is loaded whole or not at all.
pub(crate) async fn a_large_round_is_loaded_whole(gate: Gate) {
    const TICKETS: usize = 20_000;
    let mut snapshot = snapshot(&gate, 1, 2);
    let slot = Slot::first(snapshot.terms.round);
    let mut round = Round { gate: gate.clone(), slot, stock: 1 };
    let at = gate.now();
    let claims: Vec<_> = (0..TICKETS).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
    let verdict = |(n, claim)| {
        let by = if n % 4 == 0 { Move::Reject(Reason::Deadline) } else { Move::Confirm };
        round.verdict(claim, &TicketState::pending(sale::units::Units::ONE, at), by)
    };
    snapshot.tickets = claims.iter().enumerate().map(verdict).collect();
    let expected = snapshot.tickets.clone();
    assert!(gate.warm(snapshot, None).await.unwrap());
    round.stock += i64::try_from(TICKETS / 4 * 3).unwrap();
    assert_eq!(round.audit().await.available, 1);
    for part in expected.chunks(1_000) {
        let tickets: Vec<_> = part.iter().map(|it| (it.ticket, it.buyer.clone())).collect();
        let states: Vec<_> = part.iter().map(|it| Some(it.state)).collect();
        assert_eq!(gate.read(slot, &tickets).await.unwrap(), states);
    }
}

/// A retired round is not loaded any more, and retiring twice is one.
pub(crate) async fn a_retired_round_is_gone(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    let claim = round.claim("ada", "", 1);
    round.granted(&claim).await;
    gate.retire(round.slot.round).await.unwrap();
    gate.retire(round.slot.round).await.unwrap();
    is_not_warm(&gate.figures(round.slot).await, round.slot);
    is_not_warm(&gate.resend(round.slot, 10).await, round.slot);
    is_not_warm(&gate.grant(round.slot, fresh_batch(), &[claim]).await, round.slot);
}

/// Nothing of a retired round is in the way of the next one under its name, or shows through.
pub(crate) async fn a_retired_round_can_be_loaded_again_and_remembers_nothing(gate: Gate) {
    let snapshot = snapshot(&gate, 5, 1);
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 5 };
    let ada = round.claim("ada", "", 1);
    let decided = {
        assert!(gate.warm(snapshot.clone(), None).await.unwrap());
        let batch = round.grant(std::slice::from_ref(&ada)).await.batch.unwrap();
        gate.restock(slot, "k", &Restock::new(3).unwrap()).await.unwrap();
        gate.retire(slot.round).await.unwrap();
        Decided::from(&*batch)
    };
    assert!(gate.warm(Snapshot { incarnation: 2, ..snapshot }, None).await.unwrap());
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.undecided, figures.sequence), (5, 0, 0));
    assert_eq!(round.read(&ada).await, None);
    let bob = round.claim("bob", "", 1);
    let batch = round.grant(&[bob]).await.batch.unwrap();
    assert_eq!((batch.sequence, batch.orders()[0].incarnation), (decided.sequence, 2));
    round.settle(&[], &[decided]).await;
    assert_eq!(round.audit().await.undecided, 1, "a batch of the round before names no other");
    let applied = gate.restock(slot, "k", &Restock::new(2).unwrap()).await.unwrap();
    assert_eq!(applied, 2, "the key is free");
}

/// Rounds whose numbers begin alike share nothing.
pub(crate) async fn what_happens_to_a_round_touches_no_other(gate: Gate) {
    let mut rounds = Vec::new();
    for number in [4_000_000_001, 400_000_000, 40_000_000, 4] {
        let mut snapshot = snapshot(&gate, 5, 1);
        snapshot.terms.round = sale::id::RoundId(number);
        let slot = Slot::first(snapshot.terms.round);
        assert!(gate.warm(snapshot, None).await.unwrap());
        rounds.push(Round { gate: gate.clone(), slot, stock: 5 });
    }
    for round in &rounds {
        round.granted(&round.claim("ada", "", 1)).await;
        gate.restock(round.slot, "k", &Restock::new(-1).unwrap()).await.unwrap();
    }
    let retired = rounds.pop().unwrap();
    gate.retire(retired.slot.round).await.unwrap();
    is_not_warm(&gate.figures(retired.slot).await, retired.slot);
    for mut round in rounds {
        round.stock = 4;
        let figures = round.audit().await;
        assert_eq!((figures.available, figures.undecided), (3, 1));
        assert_eq!(figures.terms.round, round.slot.round);
    }
}
