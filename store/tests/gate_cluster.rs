//! The gate in a Redis Cluster: the contract of every gate, and what becomes of it when a node
//! falls or a slot moves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "redis/cases.rs"]
mod cases;
#[path = "redis/cluster.rs"]
mod cluster;
#[expect(dead_code, reason = "what belongs to the test alone is not cleared")]
#[path = "redis/engine.rs"]
mod engine;
#[path = "redis/insisting.rs"]
mod insisting;
#[path = "redis/server.rs"]
mod server;

use cases::Cases;
use cluster::{Cluster, replicated, says, until};
use contract::Round;
use engine::Place;
use insisting::{each_has_his_own, insisting, until_answered};
use store::gate::Bounds;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_contract_holds_in_a_cluster() {
    let cluster = Cluster::start().await;
    let mut cases = Cases::on(&cluster.url());
    macro_rules! case {
        ($bounds:expr => $($part:ident: $($shows:ident),+;)+) => {$($(
            cases.run(stringify!($shows), $bounds, contract::$part::$shows);
        )+)+};
    }
    every_case!(case);
    cases.hold().await;
}

/// The key that tells in which slot a round is.
fn key_of(place: &Place, round: &Round) -> String {
    format!("{}:{{{}:{}}}:terms", place.prefix, round.slot.round, round.slot.shard.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_go_on_by_themselves_when_a_replica_takes_over_from_a_killed_master() {
    let mut cluster = Cluster::start().await;
    let place = cluster.place();
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let fallen = cluster.master_of(&key_of(&place, &round)).await;
    let early = round.granted(&round.claim("b0-0", "", 1)).await;
    replicated(&cluster.nodes[fallen]).await;
    cluster.nodes[fallen].kill();
    let buyers = insisting(&round);
    until(|| says(&cluster.nodes[fallen + 3], &["INFO"], "role:master\r")).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    assert_eq!(round.read(&round.claim("b0-0", "", 1)).await, Some(early));
    until_answered(|| gate.probe()).await;

    cluster.nodes[fallen].start_again();
    until(|| says(&cluster.nodes[fallen], &["INFO"], "role:slave\r")).await;
    round.granted(&round.claim("late", "", 1)).await;
    let at_old =
        Place { url: cluster.nodes[fallen].url().replace("redis:", "redis-cluster:"), ..place };
    let again = at_old.open(Bounds::default()).await;
    let same = Round { gate: again.clone(), ..round.clone() };
    same.granted(&same.claim("later", "", 1)).await;
    assert_eq!(same.audit().await.held, 402);
    again.close().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_silent_master_was_sent_is_not_known_and_its_repeats_are_granted_once() {
    let cluster = Cluster::start().await;
    let place = cluster.place();
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let silent = cluster.master_of(&key_of(&place, &round)).await;
    replicated(&cluster.nodes[silent]).await;
    cluster.nodes[silent].pause();
    let buyers = insisting(&round);
    until(|| says(&cluster.nodes[silent + 3], &["INFO"], "role:master\r")).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    // It runs what lies in its sockets, and then hears that it is no master any more.
    cluster.nodes[silent].resume();
    until(|| says(&cluster.nodes[silent], &["INFO"], "role:slave\r")).await;
    until(|| says(&cluster.nodes[silent], &["INFO"], "master_link_status:up\r")).await;
    assert_eq!(round.audit().await.held, 400);
    round.granted(&round.claim("late", "", 1)).await;
    gate.close().await;
}
