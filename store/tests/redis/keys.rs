//! What lies in Redis under which keys, and for how long.

use std::collections::HashMap;

use sale::status::Move;
use sale::terms::Restock;
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::{Bounds, Gate, Slot, Snapshot};
use tokio::task::JoinSet;

use super::contract::{self, Round};
use super::engine::{Place, connection};
use super::{place, used_round};

/// Every key of this place, with its time to live in milliseconds, -1 for none.
async fn times_to_live(place: &Place) -> HashMap<String, i64> {
    let mut redis = connection(&place.url).await;
    let mut times = HashMap::new();
    for key in place.keys().await {
        let left = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.unwrap();
        times.insert(key, left);
    }
    times
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn every_key_carries_the_hash_tag_of_its_slot_but_the_mark_of_the_install() {
    let place = place();
    let round = used_round(&place).await;
    let tag = format!("{}:{{{}:{}}}:", place.prefix, round.slot.round, round.slot.shard.0);
    let keys = place.keys().await;
    let (of_slot, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.starts_with(&tag));
    assert!(of_slot.len() >= 3, "terms, records, outbox: {keys:?}");
    assert!(matches!(&others[..], [mark] if !mark.contains('{')), "{others:?}");
    round.gate.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn keys_get_a_time_to_live_when_their_round_is_retired_and_not_before() {
    let place = place();
    let round = used_round(&place).await;
    let alive = times_to_live(&place).await;
    assert!(alive.values().all(|left| *left == -1), "{alive:?}");
    round.gate.retire(round.slot.round).await.unwrap();
    let tag = format!("{{{}:{}}}", round.slot.round, round.slot.shard.0);
    for (key, left) in times_to_live(&place).await {
        assert_eq!(left > 0, key.contains(&tag), "{key}: {left}");
    }
    round.gate.close().await;
    place.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: ./test brings it"]
async fn warmers_that_lose_leave_nothing_behind() {
    let place = place();
    let gate = place.open(Bounds::default()).await;
    Round::warm(&gate, 1, 1).await;
    let of_one = place.keys().await.len() - 1;
    let snapshot = contract::snapshot(&gate, 1, 1);
    let mut warmers = JoinSet::new();
    for _ in 0..8 {
        let (gate, snapshot) = (gate.clone(), snapshot.clone());
        warmers.spawn(async move { gate.warm(snapshot, None).await.unwrap() });
    }
    let won = warmers.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    let keys = place.keys().await;
    assert_eq!(keys.len(), 1 + 2 * of_one, "the mark, and two rounds alike: {keys:?}");
    gate.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_gate_that_gives_way_leaves_none_of_its_keys_behind() {
    let place = place();
    let nodes = [place.open(contract::always_due()).await, place.open(Bounds::default()).await];
    // Its records are divided into three parts.
    let mut snapshot = contract::snapshot(&nodes[0], 250_000, 1);
    assert!(nodes[0].warm(snapshot.clone(), None).await.unwrap());
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: nodes[0].clone(), slot, stock: 250_000 };
    let claims: Vec<_> = (0..40).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
    let batch = round.grant(&claims).await.batch.unwrap();
    nodes[0].restock(slot, "k", &Restock::new(1).unwrap()).await.unwrap();
    let of_old = place.keys().await;
    nodes[0].freeze(slot, 1).await.unwrap();
    round.settle(&[], &[(&*batch).into()]).await;
    let drained = round.figures().await.sequence;
    (snapshot.available, snapshot.incarnation) = (1, 2);
    // This one has not seen the round, and how many parts it has.
    assert!(nodes[1].warm(snapshot, Some(drained)).await.unwrap());
    let keys = place.keys().await;
    assert_eq!(of_old.len(), 1 + 5 + 3, "the mark, the head, the parts: {of_old:?}");
    let stays =
        |key: &String| [":install", ":stock", ":terms"].iter().any(|end| key.ends_with(end));
    let left: Vec<_> = of_old.into_iter().filter(stays).collect();
    assert_eq!(keys, left);
    for node in nodes {
        node.close().await;
    }
    place.clear().await;
}

/// Begins to load a round of many tickets and breaks off while its copy is being built.
async fn load_broken_off(place: &Place, gate: &Gate, snapshot: &Snapshot) {
    loop {
        let mut load = JoinSet::new();
        let (loader, part) = (gate.clone(), snapshot.clone());
        load.spawn(async move { loader.warm(part, None).await });
        while load.try_join_next().is_none() {
            if place.keys().await.iter().any(|key| key.contains(":warm:")) {
                load.shutdown().await;
                return;
            }
        }
        gate.retire(snapshot.terms.round).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: ./test brings it"]
async fn what_a_load_that_was_broken_off_leaves_expires_and_is_in_nobodys_way() {
    let place = place();
    let gate = place.open(Bounds::default()).await;
    let mut snapshot = contract::snapshot(&gate, 5, 1);
    let slot = Slot::first(snapshot.terms.round);
    let round = Round { gate: gate.clone(), slot, stock: 20_005 };
    let state = TicketState::pending(Units::ONE, gate.now());
    let verdict = |n| round.verdict(&round.claim(&format!("b{n}"), "", 1), &state, Move::Confirm);
    snapshot.tickets = (0..20_000).map(verdict).collect();
    load_broken_off(&place, &gate, &snapshot).await;
    assert!(gate.warm(snapshot, None).await.unwrap());
    assert_eq!(round.audit().await.available, 5);
    let (copies, live): (Vec<_>, Vec<_>) =
        times_to_live(&place).await.into_iter().partition(|(key, _)| key.contains(":warm:"));
    assert!(copies.iter().all(|(_, left)| *left > 0), "{copies:?}");
    assert!(live.iter().all(|(_, left)| *left == -1), "{live:?}");
    gate.close().await;
    place.clear().await;
}
