//! What is granted, to whom, and what is refused.

use std::time::Duration;

use sale::grant::Answer;
use sale::id::BuyerId;
use sale::record::Record;
use sale::status::{Move, Reason, Status};
use sale::terms::Window;
use store::gate::Gate;
use tokio::task::JoinSet;

use super::{Round, fresh_batch, granted};

const MS: Duration = Duration::from_millis(1);

/// A grant takes the units, stands in the record and lies in the outbox, all at once.
pub(crate) async fn a_grant_is_stock_record_and_outbox_in_one(gate: Gate) {
    let round = Round::warm(&gate, 3, 2).await;
    let claim = round.claim("ada", "r", 2);
    let grants = round.grant(std::slice::from_ref(&claim)).await;
    assert!(gate.now() >= grants.now, "the gate's clock does not go back");
    let state = granted(&grants.answers[0]);
    assert_eq!((state.version, state.status, state.granted_at), (1, Status::Pending, grants.now));
    let batch = grants.batch.unwrap();
    let [order] = batch.orders() else { panic!("one order a grant") };
    assert_eq!((order.ticket, &order.buyer), (claim.ticket, &claim.buyer));
    assert_eq!((order.granted_at, order.incarnation), (grants.now, 1));
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held), (1, 2));
    assert_eq!((figures.undecided, figures.undecided_units), (1, 2));
    assert_eq!(batch.sequence, figures.sequence);
    assert_eq!(round.read(&claim).await, Some(state));
}

/// No claims, no answers, no batch.
pub(crate) async fn a_call_without_claims_changes_nothing(gate: Gate) {
    let round = Round::warm(&gate, 3, 2).await;
    let before = round.audit().await;
    let grants = round.grant(&[]).await;
    assert!(grants.answers.is_empty() && grants.batch.is_none());
    round.settle(&[], &[]).await;
    assert_eq!(gate.read(round.slot, &[]).await.unwrap(), []);
    assert!(gate.resend(round.slot, 0).await.unwrap().is_empty());
    assert_eq!(round.audit().await, before);
}

/// The same claim again, in later calls, finds its ticket; also when all is sold.
pub(crate) async fn a_retry_finds_its_ticket(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    let claim = round.claim("ada", "", 1);
    let state = round.granted(&claim).await;
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
    let state = round.granted(&first).await;
    let claims =
        [round.claim("ada", "r", 1), round.claim("bob", "r", 2), round.claim("ada", "r2", 3)];
    let answers = round.grant(&claims).await.answers;
    assert_eq!(answers[0], Answer::UnitsDiffer(state));
    assert_eq!(answers[1], Answer::TooFewLeft(1));
    assert_eq!(answers[2], Answer::LimitReached(vec![(first.ticket, state)]));
    assert_eq!(round.audit().await.available, 1);
}

/// The limit is one of units, whatever number of requests they come in, up to the highest.
pub(crate) async fn the_limit_counts_units_over_several_requests(gate: Gate) {
    let round = Round::warm(&gate, 200, 64).await;
    let (most, rest) = (round.claim("ada", "r1", 60), round.claim("ada", "r2", 4));
    let over = [round.claim("ada", "r3", 5), rest.clone(), round.claim("ada", "r4", 1)];
    let held = vec![(most.ticket, round.granted(&most).await)];
    let answers = round.grant(&over).await.answers;
    assert_eq!(answers[0], Answer::LimitReached(held.clone()));
    let held = vec![held[0], (rest.ticket, granted(&answers[1]))];
    assert_eq!(answers[2], Answer::LimitReached(held), "in the order of their grants");
    round.granted(&round.claim("bob", "", 64)).await;
    assert_eq!(round.audit().await.available, 200 - 64 - 64);
}

/// A rejected buyer may try again, but a record has room for so many tickets only.
pub(crate) async fn after_eight_tickets_a_buyer_gets_no_more(gate: Gate) {
    let round = Round::warm(&gate, 50, 1).await;
    let mut claims = Vec::new();
    for n in 0..Record::MOST {
        let claim = round.claim("ada", &format!("r{n}"), 1);
        let state = round.granted(&claim).await;
        let rejected = round.verdict(&claim, &state, Move::Reject(Reason::Deadline));
        round.settle(std::slice::from_ref(&rejected), &[]).await;
        claims.push((claim, rejected.state));
    }
    let further = round.claim("ada", "one-more", 1);
    assert_eq!(round.grant(&[further]).await.answers, [Answer::LimitReached(vec![])]);
    for (claim, state) in claims {
        assert_eq!(round.grant(&[claim]).await.answers, [Answer::Standing(state)]);
    }
    assert_eq!(round.audit().await.available, 50);
}

/// 12,000 buyers at once, through all these gates, get exactly the stock of 500.
pub(crate) async fn a_crowd_takes_exactly_the_stock_of(round: &Round, gates: &[Gate]) {
    let mut calls = JoinSet::new();
    for (call, gate) in (0..40).zip(gates.iter().cycle()) {
        let claims: Vec<_> =
            (0..300).map(|n| round.claim(&format!("b{}", call * 300 + n), "", 1)).collect();
        let (gate, slot) = (gate.clone(), round.slot);
        calls.spawn(async move { gate.grant(slot, fresh_batch(), &claims).await.unwrap() });
    }
    let (mut grants, mut orders) = (0, 0);
    for call in calls.join_all().await {
        grants += call.answers.iter().filter(|a| matches!(a, Answer::Granted(_))).count();
        orders += call.batch.map_or(0, |batch| batch.orders().len());
    }
    assert_eq!((grants, orders), (500, 500));
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.undecided), (0, 500));
}

/// Crowds of buyers at once get exactly the stock.
pub(crate) async fn a_crowd_gets_exactly_the_stock(gate: Gate) {
    let round = Round::warm(&gate, 500, 1).await;
    a_crowd_takes_exactly_the_stock_of(&round, &[gate]).await;
}

/// One unit, two hundred buyers at once, alone and in calls with others.
pub(crate) async fn of_two_hundred_buyers_one_gets_the_last_unit(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    let claims: Vec<_> = (0..200).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
    let (single, batched) = claims.split_at(100);
    let mut calls = JoinSet::new();
    for claims in single.chunks(1).chain(batched.chunks(10)) {
        let (round, claims) = (round.clone(), claims.to_vec());
        calls.spawn(async move { round.grant(&claims).await.answers });
    }
    let answers = calls.join_all().await.concat();
    assert_eq!(answers.iter().filter(|a| matches!(a, Answer::Granted(_))).count(), 1);
    assert_eq!(answers.iter().filter(|a| **a == Answer::SoldOut).count(), 199);
    assert_eq!(round.audit().await.available, 0);
}

/// One buyer asks a thousand times, many at once; ninety-nine others get the rest of a hundred.
pub(crate) async fn a_thousand_repeats_of_one_buyer_take_one_unit(gate: Gate) {
    let round = Round::warm(&gate, 100, 1).await;
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        let (round, claims) = (round.clone(), vec![round.claim("ada", "", 1); 25]);
        calls.spawn(async move { round.grant(&claims).await.answers });
    }
    let answers = calls.join_all().await.concat();
    let granted: Vec<_> = answers.iter().filter(|a| matches!(a, Answer::Granted(_))).collect();
    let [Answer::Granted(state)] = granted[..] else { panic!("{} grants", granted.len()) };
    assert_eq!(answers.iter().filter(|a| **a == Answer::Standing(*state)).count(), 999);
    let others: Vec<_> = (0..100).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
    let answers = round.grant(&others).await.answers;
    assert_eq!(answers.iter().filter(|a| matches!(a, Answer::Granted(_))).count(), 99);
    assert_eq!(answers[99], Answer::SoldOut);
    assert_eq!(round.audit().await.available, 0);
}

/// Buyer ids that a script, a packing or a key could trip over.
pub(crate) fn odd_buyers() -> Vec<String> {
    let odd = [
        " ", "a", "a ", " a", "a b", "\"", "'", "\\", "a\nb", "\r\n", "\t", "\0", "a\0", "a\0b",
        "é", "🦀", "{1:0}", "}", ":", "a:b", "*", "?", "[", "%d", "%%", "0", "-1", "01", "1e3",
        "1.0", "nil", "null", "false", "]]", "--", "\u{7f}", "\u{feff}",
    ];
    let longest = ["x".repeat(64), "é".repeat(32), "🦀".repeat(16), "\0".repeat(64)];
    odd.iter().map(|text| (*text).to_owned()).chain(longest).collect()
}

/// Every text of 1 to 64 bytes is a buyer of its own.
pub(crate) async fn any_text_names_a_buyer(gate: Gate) {
    let buyers = odd_buyers();
    let stock = i64::try_from(buyers.len()).unwrap();
    let round = Round::warm(&gate, stock, 1).await;
    let claims: Vec<_> = buyers.iter().map(|buyer| round.claim(buyer, "", 1)).collect();
    let grants = round.grant(&claims).await;
    let states: Vec<_> = grants.answers.iter().map(granted).collect();
    let batch = grants.batch.unwrap();
    let ordered: Vec<_> = batch.orders().iter().map(|order| order.buyer.as_str()).collect();
    assert_eq!(ordered, buyers);
    let verdicts: Vec<_> = claims
        .iter()
        .zip(&states)
        .map(|(claim, state)| round.verdict(claim, state, Move::Confirm))
        .collect();
    round.settle(&verdicts, &[(&*batch).into()]).await;
    let again = round.grant(&claims).await.answers;
    for ((claim, verdict), answer) in claims.iter().zip(verdicts).zip(again) {
        assert_eq!(answer, Answer::Standing(verdict.state), "{:?}", claim.buyer);
        assert_eq!(round.read(claim).await, Some(verdict.state), "{:?}", claim.buyer);
    }
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.undecided), (0, 0));
}

/// Whether a claim is early or late is decided by the time that the answer carries, to the
/// millisecond: from `opens_at` on, before `closes_at`.
pub(crate) async fn the_clock_of_the_call_decides_the_window(gate: Gate) {
    let round = Round::warm(&gate, 1_000_000, 1).await;
    let mut terms = round.figures().await.terms;
    // Of so many windows the calls meet some at the very millisecond of their edges.
    for n in 0..20 {
        let (opens, closes) = (gate.now().plus(2 * MS), gate.now().plus(5 * MS));
        terms.window = Window::new(opens, closes).unwrap();
        terms.version += 1;
        gate.set_terms(terms.clone()).await.unwrap();
        for m in 0.. {
            let grants = round.grant(&[round.claim(&format!("b{n}-{m}"), "", 1)]).await;
            let (early, late) = (grants.now < opens, grants.now >= closes);
            let answer = &grants.answers[0];
            assert_eq!(*answer == Answer::NotOpen, early, "{answer:?} at {}", grants.now);
            assert_eq!(*answer == Answer::Closed, late, "{answer:?} at {}", grants.now);
            assert_eq!(matches!(answer, Answer::Granted(_)), !early && !late, "{answer:?}");
            if late {
                break;
            }
        }
    }
    round.audit().await;
}

/// A ticket is found by its own buyer only.
pub(crate) async fn a_read_by_another_buyer_finds_nothing(gate: Gate) {
    let round = Round::warm(&gate, 2, 1).await;
    let ada = round.claim("ada", "", 1);
    round.granted(&ada).await;
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
