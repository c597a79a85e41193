//! A gate that has lost writes, or is not to be trusted: how it is found out, what it still does,
//! and what takes its place.

use sale::grant::{Answer, Claim};
use sale::status::Move;
use sale::terms::Restock;
use store::gate::{Decided, Figures, Gate, GateError, Settlement, Slot, Snapshot};
use tokio::task::JoinSet;

use super::{Round, fresh_batch, granted, is_not_warm, snapshot};

fn is_recovering<T: std::fmt::Debug>(result: &Result<T, GateError>, slot: Slot) {
    assert!(matches!(result, Err(GateError::Recovering(id)) if *id == slot.round), "{result:?}");
}

/// Nobody gets anything from this gate, whether he is new or not, and nothing is changed.
pub(crate) async fn refuses_all(round: &Round, known: &Claim) {
    let Round { gate, slot, .. } = round;
    let before = round.audit().await;
    for claim in [known.clone(), round.claim("somebody new", "", 1)] {
        is_recovering(&gate.grant(*slot, fresh_batch(), std::slice::from_ref(&claim)).await, *slot);
        is_recovering(&gate.read(*slot, &[(claim.ticket, claim.buyer)]).await, *slot);
    }
    is_recovering(&gate.grant(*slot, fresh_batch(), &[]).await, *slot);
    is_recovering(&gate.restock(*slot, "fresh key", &Restock::new(1).unwrap()).await, *slot);
    let after = round.audit().await;
    assert_eq!(after, Figures { frozen: true, ..before });
}

/// Whoever has seen more than the gate has is refused, and from then on so is everybody.
pub(crate) async fn a_gate_that_is_behind_what_was_seen_refuses_and_is_frozen(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    let ada = round.claim("ada", "", 1);
    round.granted(&ada).await;
    let at = round.figures().await;
    for (incarnation, sequence) in [(1, at.sequence), (1, 0), (0, 99), (0, 0)] {
        gate.expect(round.slot, incarnation, sequence);
        assert!(round.read(&ada).await.is_some(), "it is not behind {incarnation}, {sequence}");
    }
    assert!(!round.figures().await.frozen);
    gate.expect(round.slot, 1, at.sequence + 1);
    refuses_all(&round, &ada).await;
    // Verdicts count up, so that the gate is level with what was seen before long.
    let decided = Decided { batch: gate.resend(round.slot, 9).await.unwrap()[0].id, sequence: 1 };
    round.settle(&[], &[decided]).await;
    assert!(round.figures().await.sequence > at.sequence);
    refuses_all(&round, &ada).await;
}

/// A gate of an older incarnation is behind, whatever its sequence.
pub(crate) async fn a_gate_of_an_older_incarnation_refuses_and_is_frozen(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    let ada = round.claim("ada", "", 1);
    round.granted(&ada).await;
    gate.expect(round.slot, 2, 0);
    assert!(round.figures().await.frozen, "a look at its figures is enough");
    refuses_all(&round, &ada).await;
}

/// What is found behind is found so by any call, and those that a rebuild needs go on.
pub(crate) async fn what_a_rebuild_needs_is_not_refused(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    let ada = round.claim("ada", "", 1);
    let grants = round.grant(std::slice::from_ref(&ada)).await;
    let state = granted(&grants.answers[0]);
    let batch = grants.batch.unwrap();
    gate.expect(round.slot, 1, 99);
    let mut terms = round.figures().await.terms;
    terms.version += 1;
    gate.set_terms(terms.clone()).await.unwrap();
    assert_eq!(round.figures().await.terms, terms);
    assert_eq!(gate.resend(round.slot, 9).await.unwrap(), std::slice::from_ref(&batch));
    let verdict = round.verdict(&ada, &state, Move::Confirm);
    round.settle(&[verdict], &[(&*batch).into()]).await;
    let figures = round.audit().await;
    assert_eq!((figures.sold, figures.undecided, figures.frozen), (1, 0, true));
    gate.retire(round.slot.round).await.unwrap();
    is_not_warm(&gate.figures(round.slot).await, round.slot);
}

/// Freezing ends all grants and makes the whole outbox due, once.
pub(crate) async fn a_frozen_gate_refuses_and_its_outbox_is_due_at_once(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    let claims = ["ada", "bob"].map(|buyer| round.claim(buyer, "", 1));
    for claim in &claims {
        round.granted(claim).await;
    }
    assert!(gate.resend(round.slot, 9).await.unwrap().is_empty());
    gate.freeze(round.slot, 1).await.unwrap();
    refuses_all(&round, &claims[0]).await;
    assert_eq!(gate.resend(round.slot, 9).await.unwrap().len(), 2);
    gate.freeze(round.slot, 7).await.unwrap();
    assert!(gate.resend(round.slot, 9).await.unwrap().is_empty(), "each is on its way");
}

/// Who means an older gate than the one that is live stops nobody.
pub(crate) async fn a_gate_of_a_later_incarnation_is_not_frozen(gate: Gate) {
    let snapshot = Snapshot { incarnation: 3, ..snapshot(&gate, 5, 1) };
    let slot = Slot::first(snapshot.terms.round);
    is_not_warm(&gate.freeze(slot, 3).await, slot);
    assert!(gate.warm(snapshot, None).await.unwrap());
    let round = Round { gate: gate.clone(), slot, stock: 5 };
    gate.freeze(slot, 2).await.unwrap();
    round.granted(&round.claim("ada", "", 1)).await;
    assert_eq!((round.figures().await.incarnation, round.figures().await.frozen), (3, false));
}

/// A round of five units, one of them sold, and its snapshot for the next incarnation.
async fn one_sold(gate: &Gate) -> (Round, Claim, Settlement, Snapshot) {
    let mut snapshot = snapshot(gate, 5, 1);
    let slot = Slot::first(snapshot.terms.round);
    assert!(gate.warm(snapshot.clone(), None).await.unwrap());
    let round = Round { gate: gate.clone(), slot, stock: 5 };
    let ada = round.claim("ada", "", 1);
    let grants = round.grant(std::slice::from_ref(&ada)).await;
    let verdict = round.verdict(&ada, &granted(&grants.answers[0]), Move::Confirm);
    round.settle(std::slice::from_ref(&verdict), &[(&*grants.batch.unwrap()).into()]).await;
    (snapshot.incarnation, snapshot.available) = (2, 4);
    snapshot.tickets = vec![verdict.clone()];
    (round, ada, verdict, snapshot)
}

/// A gate gives way only if it is frozen, drained, older, and where it was when that was found.
pub(crate) async fn a_gate_gives_way_only_if_frozen_drained_older_and_unmoved(gate: Gate) {
    let (round, ada, verdict, snapshot) = one_sold(&gate).await;
    let warm = |snapshot: &Snapshot, over| {
        let (gate, snapshot) = (gate.clone(), snapshot.clone());
        async move { gate.warm(snapshot, over).await.unwrap() }
    };
    let drained = round.figures().await.sequence;
    assert!(!warm(&snapshot, Some(drained)).await, "it is not frozen");
    let bob = round.claim("bob", "", 1);
    let batch = round.grant(std::slice::from_ref(&bob)).await.batch.unwrap();
    gate.freeze(round.slot, 1).await.unwrap();
    let undecided = round.figures().await.sequence;
    assert!(!warm(&snapshot, Some(undecided)).await, "it is not drained");
    round.settle(&[], &[(&*batch).into()]).await;
    assert!(!warm(&snapshot, Some(undecided)).await, "it has moved");
    let drained = round.figures().await.sequence;
    assert!(!warm(&snapshot, Some(drained + 1)).await, "it has not come so far");
    assert!(!warm(&snapshot, None).await, "a live gate stays");
    let same = Snapshot { incarnation: 1, ..snapshot.clone() };
    assert!(!warm(&same, Some(drained)).await, "it is of the same incarnation");
    refuses_all(&round, &ada).await;
    assert!(warm(&snapshot, Some(drained)).await);
    assert_eq!(round.read(&ada).await, Some(verdict.state));
    assert_eq!(round.read(&bob).await, None, "the ledger knows nothing of it");
    assert!(!warm(&Snapshot { incarnation: 3, ..snapshot }, Some(0)).await, "it is not frozen");
}

/// Nothing of the old gate shows through the one in its place, which goes on.
pub(crate) async fn the_gate_that_takes_the_place_has_nothing_of_the_old_one(gate: Gate) {
    let (mut round, ada, verdict, snapshot) = one_sold(&gate).await;
    gate.restock(round.slot, "k", &Restock::new(3).unwrap()).await.unwrap();
    let batch = round.grant(&[round.claim("bob", "", 1)]).await.batch.unwrap();
    gate.freeze(round.slot, 1).await.unwrap();
    let decided = [Decided::from(&*batch)];
    round.settle(&[], &decided).await;
    let drained = round.figures().await;
    gate.expect(round.slot, 2, 0);
    assert!(gate.warm(snapshot.clone(), Some(drained.sequence)).await.unwrap());
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.sold, figures.undecided), (4, 1, 0));
    assert_eq!((figures.incarnation, figures.sequence, figures.frozen), (2, 0, false));
    assert_eq!(figures.terms, snapshot.terms);
    let again = round.grant(&[ada, round.claim("bob", "", 1)]).await;
    assert_eq!(again.answers[0], Answer::Standing(verdict.state), "a retry finds its ticket");
    granted(&again.answers[1]);
    let again = again.batch.unwrap();
    assert_eq!((again.sequence, again.orders()[0].incarnation), (1, 2));
    round.settle(&[], &decided).await;
    assert_eq!(round.audit().await.undecided, 1, "a batch of the old gate names none of this one");
    assert!(gate.resend(round.slot, 9).await.unwrap().is_empty(), "nothing old is due");
    let applied = gate.restock(round.slot, "k", &Restock::new(2).unwrap()).await.unwrap();
    assert_eq!(applied, 2, "the key is free");
    round.stock += 2;
    round.audit().await;
}

/// Of several who rebuild at once one puts his gate there, whole.
pub(crate) async fn of_several_that_rebuild_at_once_one_wins(gate: Gate) {
    let (mut round, .., snapshot) = one_sold(&gate).await;
    gate.freeze(round.slot, 1).await.unwrap();
    let drained = round.figures().await.sequence;
    let mut rebuilds = JoinSet::new();
    for n in 1..=8_i64 {
        let (gate, mut snapshot) = (gate.clone(), snapshot.clone());
        snapshot.available = n;
        rebuilds.spawn(async move { (n, gate.warm(snapshot, Some(drained)).await.unwrap()) });
    }
    let won: Vec<_> = rebuilds.join_all().await.into_iter().filter(|(_, won)| *won).collect();
    let [(winner, _)] = won[..] else { panic!("{won:?}") };
    round.stock = winner + 1;
    assert_eq!(round.audit().await.available, winner);
}

/// Calls of all kinds, many on their way at once: a healthy gate is never found behind, in
/// whatever order its replies come in.
pub(crate) async fn calls_on_their_way_at_once_accuse_nobody(gate: Gate) {
    let round = Round::warm(&gate, 10_000, 1).await;
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let round = round.clone();
        tasks.spawn(async move {
            for n in 0..60 {
                let claims: Vec<_> =
                    (0..4).map(|m| round.claim(&format!("b{task}-{n}-{m}"), "", 1)).collect();
                let batch = round.grant(&claims).await.batch.unwrap();
                let decided = [Decided::from(&*batch)];
                let ((), read, figures) = tokio::join!(
                    round.settle(&[], &decided),
                    round.read(&claims[0]),
                    round.figures(),
                );
                assert!(read.is_some());
                assert!(figures.sequence >= batch.sequence && !figures.frozen, "{figures:?}");
                round.gate.expect(round.slot, figures.incarnation, figures.sequence);
            }
        });
    }
    tasks.join_all().await;
    let figures = round.audit().await;
    assert_eq!((figures.held, figures.undecided, figures.frozen), (16 * 60 * 4, 0, false));
}
