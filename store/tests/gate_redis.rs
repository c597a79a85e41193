//! The gate in Redis: the contract of every gate, and what only an engine of its own has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "redis/behind.rs"]
mod behind;
#[path = "redis/damage.rs"]
mod damage;
#[path = "redis/engine.rs"]
mod engine;
#[path = "redis/insisting.rs"]
mod insisting;
#[path = "redis/keys.rs"]
mod keys;
#[path = "redis/opening.rs"]
mod opening;
#[path = "redis/own_server.rs"]
mod own_server;
#[path = "redis/refused.rs"]
mod refused;
#[expect(dead_code, reason = "no server here is told of to another")]
#[path = "redis/server.rs"]
mod server;

use contract::{Round, grants, outbox, recovering};
use engine::{Place, connection, setting};
use sale::status::{Move, Reason};
use sale::terms::Restock;
use store::gate::{Bounds, Slot};
use tokio::task::JoinSet;

macro_rules! on_redis {
    ($bounds:expr => $($part:ident: $($shows:ident),+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs Redis: ./test brings it"]
        async fn $shows() {
            let place = Place::new(&setting("TEST_REDIS_URL"));
            let gate = place.open($bounds).await;
            contract::$part::$shows(gate.clone()).await;
            gate.close().await;
            place.clear().await;
        }
    )+)+};
}

every_case!(on_redis);

fn place() -> Place {
    Place::new(&setting("TEST_REDIS_URL"))
}

/// A round in which every kind of write has happened.
async fn used_round(place: &Place) -> Round {
    let gate = place.open(contract::always_due()).await;
    let mut round = Round::warm(&gate, 10, 2).await;
    let claims = [round.claim("ada", "", 2), round.claim("bob", "", 1)];
    let grants = round.grant(&claims).await;
    let state = contract::granted(&grants.answers[0]);
    let verdict = round.verdict(&claims[0], &state, Move::Reject(Reason::Deadline));
    round.settle(&[verdict], &[]).await;
    round.granted(&round.claim("cleo", "", 1)).await;
    gate.restock(round.slot, "k", &Restock::new(5).unwrap()).await.unwrap();
    round.stock += 5;
    let mut terms = round.figures().await.terms;
    terms.version += 1;
    gate.set_terms(terms).await.unwrap();
    assert_eq!(gate.resend(round.slot, 10).await.unwrap().len(), 2);
    gate.probe().await.unwrap();
    round.audit().await;
    round
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_node_that_knew_a_round_works_on_when_another_has_loaded_it_anew() {
    let place = place();
    let nodes = [place.open(Bounds::default()).await, place.open(Bounds::default()).await];
    let mut snapshot = contract::snapshot(&nodes[0], 0, 1);
    let slot = Slot::first(snapshot.terms.round);
    for (incarnation, stock) in (1..).zip([10, 5_000_000, 200_000, 10]) {
        (snapshot.available, snapshot.incarnation) = (stock, incarnation);
        assert!(nodes[0].warm(snapshot.clone(), None).await.unwrap());
        for (n, gate) in nodes.iter().enumerate() {
            let round = Round { gate: gate.clone(), slot, stock };
            let claims = [round.claim("ada", "", 1), round.claim(&format!("b{n}"), "", 1)];
            let answers = round.grant(&claims).await.answers;
            contract::granted(&answers[1]);
            assert!(round.read(&claims[0]).await.is_some());
            assert_eq!(round.audit().await.held, 2 + n as u64);
        }
        nodes[0].retire(slot.round).await.unwrap();
    }
    for node in nodes {
        node.close().await;
    }
    place.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: ./test brings it"]
async fn two_nodes_that_grant_at_once_never_exceed_the_stock() {
    let place = place();
    let nodes = [place.open(Bounds::default()).await, place.open(Bounds::default()).await];
    let round = Round::warm(&nodes[0], 500, 1).await;
    grants::a_crowd_takes_exactly_the_stock_of(&round, &nodes).await;
    for node in nodes {
        node.close().await;
    }
    place.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: ./test brings it"]
async fn two_nodes_send_each_batch_again_once_a_step() {
    let place = place();
    let nodes =
        [place.open(contract::short_steps()).await, place.open(contract::short_steps()).await];
    let round = Round::warm(&nodes[0], 100, 1).await;
    outbox::batches_are_handed_to_one_caller_a_step_of(&round, &nodes).await;
    for node in nodes {
        node.close().await;
    }
    place.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: ./test brings it"]
async fn scripts_that_were_flushed_come_back_by_themselves() {
    let place = place();
    let gate = place.open(contract::always_due()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let mut redis = connection(&place.url).await;
    let mut tasks = JoinSet::new();
    for worker in 0..4 {
        let round = round.clone();
        tasks.spawn(async move {
            for n in 0..50 {
                round.granted(&round.claim(&format!("b{worker}-{n}"), "", 1)).await;
            }
        });
    }
    while tasks.try_join_next().is_none() {
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
    }
    tasks.join_all().await;
    assert_eq!(round.audit().await.held, 200);
    for _ in 0..2 {
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
        gate.probe().await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
        assert_eq!(gate.resend(round.slot, 1_000).await.unwrap().len(), 200);
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
        gate.settle(round.slot, &[], &[]).await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
        assert_eq!(round.read(&round.claim("nobody", "", 1)).await, None);
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
        Round::warm(&gate, 1, 1).await;
    }
    gate.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn what_one_node_finds_behind_is_frozen_for_all() {
    let place = place();
    let nodes = [place.open(Bounds::default()).await, place.open(Bounds::default()).await];
    let round = Round::warm(&nodes[0], 5, 1).await;
    let ada = round.claim("ada", "", 1);
    round.granted(&ada).await;
    let other = Round { gate: nodes[1].clone(), ..round.clone() };
    assert!(other.read(&ada).await.is_some());
    nodes[0].expect(round.slot, 1, 99);
    nodes[0].probe().await.unwrap();
    assert!(other.read(&ada).await.is_some(), "nobody has asked yet who knows it");
    assert!(round.figures().await.frozen);
    recovering::refuses_all(&other, &ada).await;
    for node in nodes {
        node.close().await;
    }
    place.clear().await;
}
