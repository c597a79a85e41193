//! What the outbox keeps, hands out and lets go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sale::grant::Answer;
use sale::id::BatchId;
use store::gate::{Decided, Gate};
use tokio::task::JoinSet;

use super::{Round, SHORT_STEP, fresh_batch, granted, grants};

/// A batch stays in the outbox until it is named as decided.
pub(crate) async fn the_outbox_keeps_what_is_undecided(gate: Gate) {
    let round = Round::warm(&gate, 10, 2).await;
    assert_eq!(round.figures().await.oldest, None);
    let mut batches = Vec::new();
    for buyer in ["ada", "bob", "cleo"] {
        batches.push(round.grant(&[round.claim(buyer, "", 2)]).await.batch.unwrap());
    }
    assert!(gate.resend(round.slot, 10).await.unwrap().is_empty(), "nothing is overdue at once");
    for (left, of_these) in [(2, &batches[..1]), (1, &batches[..2]), (0, &batches[..])] {
        let decided: Vec<_> = of_these.iter().map(|batch| Decided::from(&**batch)).collect();
        for _ in 0..2 {
            round.settle(&[], &decided).await;
            let figures = round.audit().await;
            assert_eq!((figures.undecided, figures.undecided_units), (left, 2 * left as u64));
            let oldest = batches.get(3 - left).map(|batch| batch.orders()[0].granted_at);
            assert_eq!(figures.oldest, oldest);
        }
    }
}

/// A batch that stands where another one is looked for stays.
pub(crate) async fn a_batch_leaves_the_outbox_by_its_own_id_only(gate: Gate) {
    let round = Round::warm(&gate, 10, 1).await;
    let batch = round.grant(&[round.claim("ada", "", 1)]).await.batch.unwrap();
    round.granted(&round.claim("bob", "", 1)).await;
    let other = Decided { batch: fresh_batch(), sequence: batch.sequence };
    let before = round.figures().await;
    round.settle(&[], &[other]).await;
    assert_eq!(round.figures().await, before);
    let decided = Decided::from(&*batch);
    round.settle(&[], &[other, decided, decided]).await;
    let figures = round.audit().await;
    assert_eq!((figures.undecided, figures.undecided_units), (1, 1), "named twice, gone once");
}

/// A take is bounded; what is left waits for the next.
pub(crate) async fn no_more_overdue_batches_are_handed_out_than_asked_for(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    for buyer in ["ada", "bob", "cleo"] {
        round.granted(&round.claim(buyer, "", 1)).await;
    }
    assert!(gate.resend(round.slot, 0).await.unwrap().is_empty());
    assert_eq!(gate.resend(round.slot, 2).await.unwrap().len(), 2);
    let all = gate.resend(round.slot, 9).await.unwrap();
    assert_eq!(all.len(), 3, "a step of zero is over at once");
}

/// What is sent again is, to the byte, what the grant answered.
pub(crate) async fn a_batch_sent_again_is_the_batch_that_was_granted(gate: Gate) {
    let round = Round::warm(&gate, 10_000, 3).await;
    let mut batches = HashMap::new();
    let buyers = grants::odd_buyers();
    let calls = buyers.chunks(10).map(<[String]>::to_vec);
    let many: Vec<_> = (0..300).map(|n| format!("b{n}")).collect();
    for (call, units) in calls.chain([many]).zip([1, 2, 3].into_iter().cycle()) {
        let claims: Vec<_> = call.iter().map(|buyer| round.claim(buyer, "r", units)).collect();
        let batch = round.grant(&claims).await.batch.unwrap();
        batches.insert(batch.id, batch);
    }
    let again = gate.resend(round.slot, 1_000).await.unwrap();
    assert_eq!(again.len(), batches.len());
    for batch in again {
        let granted = &batches[&batch.id];
        assert_eq!(&batch, granted);
        assert_eq!(batch.to_json(), granted.to_json());
    }
}

/// Callers ask all the time until each of sixty batches came three times. However long that took,
/// none was handed out more often than its steps of 1, 2, 4, … allow.
pub(crate) async fn batches_are_handed_to_one_caller_a_step_of(round: &Round, gates: &[Gate]) {
    let start = Instant::now();
    for n in 0..60 {
        round.granted(&round.claim(&format!("b{n}"), "", 1)).await;
    }
    let times = Arc::new(Mutex::new(HashMap::<BatchId, u32>::new()));
    let mut callers = JoinSet::new();
    for gate in gates.iter().cycle().take(8) {
        let (gate, slot, times) = (gate.clone(), round.slot, times.clone());
        let came_thrice = |times: &HashMap<_, _>| times.values().filter(|n| **n > 2).count();
        callers.spawn(async move {
            while came_thrice(&times.lock().unwrap()) < 60 {
                let batches = gate.resend(slot, 7).await.unwrap();
                let steps = start.elapsed().as_millis() / SHORT_STEP.as_millis();
                for batch in batches {
                    let mut times = times.lock().unwrap();
                    let n = times.entry(batch.id).or_default();
                    *n += 1;
                    // The clocks round to milliseconds.
                    assert!((1 << *n) - 1 <= steps + 1, "{n} times in {steps} steps");
                }
            }
        });
    }
    callers.join_all().await;
}

/// Several callers ask at once: each batch goes to one of them a step, and steps double.
pub(crate) async fn a_batch_is_handed_to_one_caller_a_step(gate: Gate) {
    let round = Round::warm(&gate, 100, 1).await;
    batches_are_handed_to_one_caller_a_step_of(&round, &[gate]).await;
}

/// The bound counts orders, also those before it in the same call.
pub(crate) async fn at_the_outboxs_bound_nothing_more_is_granted_until_verdicts_come(gate: Gate) {
    let round = Round::warm(&gate, 5, 1).await;
    let claims = ["ada", "bob", "cleo"].map(|buyer| round.claim(buyer, "", 1));
    let grants = round.grant(&claims).await;
    assert_eq!(grants.answers[2], Answer::OutboxFull);
    assert_eq!(round.audit().await.available, 3, "the refused one took nothing");
    let state = granted(&grants.answers[0]);
    let again = round.grant(&claims).await.answers;
    assert_eq!(again[0], Answer::Standing(state), "a retry needs no room");
    assert_eq!(again[2], Answer::OutboxFull);
    round.settle(&[], &[Decided::from(&*grants.batch.unwrap())]).await;
    round.granted(&claims[2]).await;
    round.audit().await;
}
