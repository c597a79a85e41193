//! How verdicts enter the records, and what they do to the stock.

use sale::grant::{Answer, Claim};
use sale::record::Record;
use sale::status::{Move, Reason, Status};
use sale::terms::Restock;
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::{Decided, Gate, Settlement};
use tokio::task::JoinSet;

use super::{Round, granted};

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
        round.settle(&settlements, &[batch]).await;
    }
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.sold), (1, 0, 1));
    assert_eq!(figures.undecided, 0);
    let tickets = [(ada.ticket, ada.buyer.clone()), (bob.ticket, bob.buyer.clone())];
    let read = gate.read(round.slot, &tickets).await.unwrap();
    assert_eq!(read, [Some(rejected.state), Some(confirmed.state)]);
    let mut older = confirmed;
    older.state = granted(&grants.answers[1]);
    round.settle(&[older], &[]).await;
    assert_eq!(gate.read(round.slot, &tickets).await.unwrap(), read, "a version never goes back");
    let answers = round.grant(&[ada, round.claim("ada", "new", 1)]).await.answers;
    assert_eq!(answers[0], Answer::Standing(rejected.state));
    granted(&answers[1]);
}

/// The state of a ticket that is not held any more, `version` moves after its grant.
fn released(claim: &Claim, granted: &TicketState, version: u32) -> Settlement {
    let status = Status::Rejected(Reason::Unprocessable);
    let state = TicketState { status, version, decided_at: Some(granted.granted_at), ..*granted };
    Settlement { ticket: claim.ticket, buyer: claim.buyer.clone(), state }
}

/// Units of a confirmed ticket return by a newer version, once, and an older one that comes
/// late takes nothing.
pub(crate) async fn a_later_release_gives_the_units_back_once(gate: Gate) {
    let round = Round::warm(&gate, 5, 5).await;
    let ada = round.claim("ada", "", 3);
    let state = round.granted(&ada).await;
    let confirmed = round.verdict(&ada, &state, Move::Confirm);
    let released = released(&ada, &state, 4);
    round.settle(std::slice::from_ref(&confirmed), &[]).await;
    assert_eq!(round.audit().await.sold, 3);
    for late in [&released, &confirmed, &released] {
        round.settle(std::slice::from_ref(late), &[]).await;
        let figures = round.audit().await;
        assert_eq!((figures.available, figures.held, figures.sold), (5, 0, 0));
        assert_eq!(round.read(&ada).await, Some(released.state));
    }
    round.granted(&round.claim("ada", "again", 5)).await;
}

/// Several states of one ticket in one call have the effect of the newest.
pub(crate) async fn states_of_one_ticket_in_one_call_are_taken_in_turn(gate: Gate) {
    let round = Round::warm(&gate, 10, 5).await;
    let (ada, bob) = (round.claim("ada", "", 3), round.claim("bob", "", 2));
    let states = round.grant(&[ada.clone(), bob.clone()]).await.answers;
    let [ada_state, bob_state] = [granted(&states[0]), granted(&states[1])];
    let ada_confirmed = round.verdict(&ada, &ada_state, Move::Confirm);
    let ada_released = released(&ada, &ada_state, 3);
    let bob_confirmed = round.verdict(&bob, &bob_state, Move::Confirm);
    let bob_released = released(&bob, &bob_state, 3);
    let call = [
        ada_confirmed.clone(),
        bob_released.clone(),
        ada_confirmed,
        ada_released.clone(),
        bob_confirmed,
        ada_released.clone(),
    ];
    round.settle(&call, &[]).await;
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.sold), (10, 0, 0));
    assert_eq!(round.read(&ada).await, Some(ada_released.state));
    assert_eq!(round.read(&bob).await, Some(bob_released.state));
}

/// A verdict on a ticket that the gate forgot takes its units, below zero if need be.
pub(crate) async fn a_forgotten_ticket_takes_its_units_as_a_debt(gate: Gate) {
    let mut round = Round::warm(&gate, 1, 2).await;
    round.granted(&round.claim("ada", "", 1)).await;
    let forgotten = round.claim("bob", "", 2);
    let state = TicketState::pending(forgotten.units, gate.now());
    let settlement = round.verdict(&forgotten, &state, Move::Confirm);
    for _ in 0..2 {
        round.settle(std::slice::from_ref(&settlement), &[]).await;
        let figures = round.audit().await;
        assert_eq!((figures.available, figures.sold), (-2, 2));
    }
    let nothing = gate.restock(round.slot, "down", &Restock::new(-1).unwrap()).await;
    assert_eq!(nothing.unwrap(), 0, "a debt has nothing to take back");
    assert_eq!(round.grant(&[round.claim("cleo", "", 1)]).await.answers, [Answer::SoldOut]);
    let applied = gate.restock(round.slot, "k", &Restock::new(3).unwrap()).await.unwrap();
    round.stock += i64::from(applied);
    round.granted(&round.claim("cleo", "", 1)).await;
    let again = round.grant(std::slice::from_ref(&forgotten)).await.answers;
    assert_eq!(again, [Answer::Standing(settlement.state)]);
    round.audit().await;
}

/// A rejection of a ticket that the gate forgot is what its buyer's retry finds.
pub(crate) async fn a_forgotten_ticket_that_was_rejected_stands_and_takes_nothing(gate: Gate) {
    let round = Round::warm(&gate, 1, 1).await;
    let forgotten = round.claim("bob", "", 1);
    let state = TicketState::pending(forgotten.units, gate.now());
    let rejected = round.verdict(&forgotten, &state, Move::Reject(Reason::SoldOut));
    round.settle(std::slice::from_ref(&rejected), &[]).await;
    assert_eq!(round.audit().await.available, 1);
    let answers = round.grant(&[forgotten, round.claim("bob", "new", 1)]).await.answers;
    assert_eq!(answers[0], Answer::Standing(rejected.state));
    granted(&answers[1]);
    assert_eq!(round.audit().await.available, 0);
}

/// The bound of a record stops grants, never what the ledger has decided.
pub(crate) async fn a_full_record_still_takes_what_the_ledger_says(gate: Gate) {
    let round = Round::warm(&gate, 20, 20).await;
    let mut known = Vec::new();
    for n in 0..Record::MOST {
        let claim = round.claim("ada", &format!("r{n}"), 1);
        let state = round.granted(&claim).await;
        known.push((claim, state));
    }
    for n in 0..3 {
        let claim = round.claim("ada", &format!("forgotten-{n}"), 2);
        let state = TicketState::pending(claim.units, gate.now());
        let verdict = round.verdict(&claim, &state, Move::Confirm);
        round.settle(std::slice::from_ref(&verdict), &[]).await;
        known.push((claim, verdict.state));
    }
    let first = round.verdict(&known[0].0, &known[0].1, Move::Confirm);
    round.settle(std::slice::from_ref(&first), &[]).await;
    known[0].1 = first.state;
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.sold), (6, 7, 7));
    for (claim, state) in &known {
        assert_eq!(round.read(claim).await, Some(*state));
    }
    let held = known.into_iter().map(|(claim, state)| (claim.ticket, state)).collect();
    let further = round.claim("ada", "one-more", 1);
    let answers = round.grant(&[further]).await.answers;
    assert_eq!(answers, [Answer::LimitReached(held)], "in the order they came");
}

/// The sequence counts each call that wrote, so that whoever has seen a higher one knows that
/// writes were lost.
pub(crate) async fn every_write_counts_up_and_a_repeat_does_not(gate: Gate) {
    let mut round = Round::warm(&gate, 5, 1).await;
    let start = round.figures().await.sequence;
    let claims = [round.claim("ada", "", 1), round.claim("bob", "", 1)];
    let grants = round.grant(&claims).await;
    let batch = grants.batch.unwrap();
    let verdicts = [
        round.verdict(&claims[0], &granted(&grants.answers[0]), Move::Confirm),
        round.verdict(&claims[1], &granted(&grants.answers[1]), Move::Reject(Reason::Limit)),
    ];
    for _ in 0..2 {
        assert!(round.grant(&claims).await.batch.is_none());
        assert_eq!(round.figures().await.sequence, start + 1, "one call is one write");
    }
    assert_eq!(batch.sequence, start + 1);
    for _ in 0..2 {
        round.settle(&verdicts, &[]).await;
        assert_eq!(round.figures().await.sequence, start + 2);
    }
    for _ in 0..2 {
        round.settle(&verdicts, &[(&*batch).into()]).await;
        assert_eq!(round.figures().await.sequence, start + 3, "the batch left");
    }
    for _ in 0..2 {
        gate.restock(round.slot, "k", &Restock::new(4).unwrap()).await.unwrap();
        assert_eq!(round.figures().await.sequence, start + 4);
    }
    round.stock += 4;
    let next = round.grant(&[round.claim("cleo", "", 1)]).await.batch.unwrap();
    assert_eq!(next.sequence, start + 5);
    round.audit().await;
}

/// What one task did to a round.
#[derive(Default)]
struct Done {
    restocked: i64,
    held: u64,
    sold: u64,
    undecided: usize,
}

/// Claims, and has a verdict for two tickets of three; every third batch stays undecided.
async fn claim_and_settle(round: Round, worker: usize) -> Done {
    let mut done = Done::default();
    for call in 0..40 {
        let units = 1 + (call % 3) as u64;
        let claims: Vec<_> =
            (0..5).map(|n| round.claim(&format!("b{worker}-{call}-{n}"), "", units)).collect();
        let grants = round.grant(&claims).await;
        let mut verdicts = Vec::new();
        for (n, (claim, answer)) in claims.iter().zip(&grants.answers).enumerate() {
            let Answer::Granted(state) = answer else { continue };
            match (call + n) % 3 {
                0 => done.held += units,
                1 => {
                    done.sold += units;
                    verdicts.push(round.verdict(claim, state, Move::Confirm));
                }
                _ => {
                    let by = Move::Reject(Reason::SoldOut);
                    verdicts.push(round.verdict(claim, state, by));
                }
            }
        }
        let Some(batch) = grants.batch else { continue };
        let decided: &[Decided] = if call % 3 == 0 {
            done.undecided += batch.orders().len();
            &[]
        } else {
            &[(&*batch).into()]
        };
        round.settle(&verdicts, decided).await;
        round.settle(&verdicts, decided).await;
    }
    done
}

/// Adds and takes back, each change twice.
async fn restock(round: Round, worker: usize) -> Done {
    let mut done = Done::default();
    for call in 0..40 {
        let change = Restock::new(if call % 2 == 0 { 7 } else { -9 }).unwrap();
        let key = format!("{worker}-{call}");
        let applied = round.gate.restock(round.slot, &key, &change).await.unwrap();
        let again = round.gate.restock(round.slot, &key, &change).await.unwrap();
        assert_eq!(again, applied);
        done.restocked += i64::from(applied);
    }
    done
}

/// Two workers, claims, give-backs and stock changes on one stock, all at once.
pub(crate) async fn work_of_all_kinds_at_once_conserves_units(gate: Gate) {
    let mut round = Round::warm(&gate, 300, Units::MOST.into()).await;
    let mut tasks = JoinSet::new();
    for worker in 0..3 {
        tasks.spawn(claim_and_settle(round.clone(), worker));
    }
    for worker in 0..2 {
        tasks.spawn(restock(round.clone(), worker));
    }
    let done = tasks.join_all().await;
    round.stock += done.iter().map(|done| done.restocked).sum::<i64>();
    let figures = round.audit().await;
    assert!(figures.available >= 0, "{figures:?}");
    assert_eq!(figures.held, done.iter().map(|done| done.held).sum::<u64>());
    assert_eq!(figures.sold, done.iter().map(|done| done.sold).sum::<u64>());
    assert_eq!(figures.undecided, done.iter().map(|done| done.undecided).sum::<usize>());
}
