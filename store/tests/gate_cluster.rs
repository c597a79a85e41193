//! The gate in a Redis Cluster: the contract of every gate, and what becomes of it when a node
//! falls or a slot moves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "redis/cases.rs"]
mod cases;
#[path = "redis/certificates.rs"]
mod certificates;
#[path = "redis/cluster.rs"]
mod cluster;
#[expect(dead_code, reason = "what belongs to the test alone is not cleared")]
#[path = "redis/engine.rs"]
mod engine;
#[path = "redis/insisting.rs"]
mod insisting;
#[path = "redis/path.rs"]
mod path;
#[path = "redis/refused.rs"]
mod refused;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/waiting.rs"]
mod waiting;

use cases::Cases;
use certificates::Certificates;
use cluster::Cluster;
use contract::Round;
use engine::Place;
use insisting::{each_has_his_own, insisting, until_answered};
use path::Path;
use refused::refusal;
use server::Server;
use store::gate::{Bounds, GateError};
use store::open::OpenError;
use waiting::{replicated, says, until};

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

/// A path to each node, by which alone clients and other nodes are told to reach it.
async fn paths_to(nodes: &[Server]) -> Vec<Path> {
    let mut paths = Vec::new();
    for node in nodes {
        let path = Path::to(node.port()).await;
        let (port, bus) = (path.port.to_string(), (node.port() + 10_000).to_string());
        let announced = ["cluster-announce-port", &port, "cluster-announce-bus-port", &bus];
        node.command(&[&["CONFIG", "SET"], &announced[..]].concat()).await;
        paths.push(path);
    }
    for node in nodes {
        for path in &paths {
            let told = format!(":{}@", path.port);
            until(|| says(node, &["CLUSTER", "NODES"], &told)).await;
        }
    }
    for replica in &nodes[3..] {
        until(|| says(replica, &["INFO"], "master_link_status:up\r")).await;
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_to_whom_every_connection_fell_silent_are_asked_over_others() {
    let mut cluster = Cluster::start().await;
    let paths = paths_to(&cluster.nodes).await;
    // Only the masters: with each of them there is a connection when it is open.
    let masters: Vec<_> =
        paths[..3].iter().map(|path| format!("127.0.0.1:{}", path.port)).collect();
    let place = Place::new(&format!("redis-cluster://{}", masters.join(",")));
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let fallen = cluster.master_of(&key_of(&place, &round)).await;
    replicated(&cluster.nodes[fallen]).await;
    paths.iter().for_each(Path::silence);
    cluster.nodes[fallen].kill();
    let buyers = insisting(&round);
    until(|| says(&cluster.nodes[fallen + 3], &["INFO"], "role:master\r")).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    until_answered(|| gate.probe()).await;
    gate.close().await;
}

/// Begins to move the slot of a key to another master, and answers the slot.
async fn begin_to_move(cluster: &Cluster, key: &str, from: usize, to: usize) -> String {
    let slot: u16 = cluster.nodes[from].ask(&["CLUSTER", "KEYSLOT", key]).await;
    let slot = slot.to_string();
    let [source, target] = [from, to].map(|n| cluster.nodes[n].ask(&["CLUSTER", "MYID"]));
    let (source, target): (String, String) = tokio::join!(source, target);
    cluster.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
    cluster.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    slot
}

async fn move_keys(cluster: &Cluster, slot: &str, from: usize, to: usize) {
    let keys: Vec<String> =
        cluster.nodes[from].ask(&["CLUSTER", "GETKEYSINSLOT", slot, "1000"]).await;
    let port = cluster.nodes[to].port().to_string();
    for key in keys {
        cluster.nodes[from].command(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]).await;
    }
}

async fn end_the_move(cluster: &Cluster, slot: &str, to: usize) {
    let target: String = cluster.nodes[to].ask(&["CLUSTER", "MYID"]).await;
    for n in [to, (to + 1) % 3, (to + 2) % 3] {
        cluster.nodes[n].command(&["CLUSTER", "SETSLOT", slot, "NODE", &target]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_is_followed_to_the_node_that_its_slot_is_moved_to() {
    let cluster = Cluster::start().await;
    let place = cluster.place();
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let key = key_of(&place, &round);
    let from = cluster.master_of(&key).await;
    let to = (from + 1) % 3;
    let buyers = insisting(&round);
    until(|| async { gate.figures(round.slot).await.is_ok_and(|now| now.held > 20) }).await;
    let slot = begin_to_move(&cluster, &key, from, to).await;
    // From here on calls are put off: scripts name keys that are not at the source.
    move_keys(&cluster, &slot, from, to).await;
    end_the_move(&cluster, &slot, to).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    let there: u64 = cluster.nodes[to].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await;
    assert!(there >= 3, "terms, stock, records");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_has_moved_before_its_slot_is_asked_for_where_it_is() {
    let cluster = Cluster::start().await;
    let place = cluster.place();
    let gate = place.open(Bounds::default()).await;
    let mark = format!("{}:install", place.prefix);
    let from = cluster.master_of(&mark).await;
    let to = (from + 1) % 3;
    let slot = begin_to_move(&cluster, &mark, from, to).await;
    gate.probe().await.unwrap();
    move_keys(&cluster, &slot, from, to).await;
    gate.probe().await.unwrap();
    place.open(Bounds::default()).await.close().await;
    assert_eq!(cluster.nodes[from].ask::<u64>(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await, 0);
    end_the_move(&cluster, &slot, to).await;
    gate.probe().await.unwrap();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_refused_as_a_single_redis_and_a_single_redis_as_a_cluster() {
    let cluster = Cluster::start().await;
    for node in [&cluster.nodes[0], &cluster.nodes[3]] {
        let text = refusal(Place::new(&node.url()).try_open(Bounds::default()).await);
        assert!(text.contains("as redis-cluster://"), "{text}");
    }
    let alone = Server::start(&[]);
    let url = alone.url().replace("redis:", "redis-cluster:");
    let text = refusal(Place::new(&url).try_open(Bounds::default()).await);
    assert!(text.contains("as redis://"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_which_one_master_evicts_keys_is_refused() {
    let cluster = Cluster::start().await;
    cluster.nodes[2].command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let text = refusal(cluster.place().try_open(Bounds::default()).await);
    assert!(text.contains("maxmemory-policy noeviction"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_lacks_slots_grants_nothing_and_may_come_back() {
    let mut cluster = Cluster::start().await;
    let gate = cluster.place().open(Bounds::default()).await;
    for n in [1, 4] {
        cluster.nodes[n].kill();
    }
    until(|| says(&cluster.nodes[0], &["CLUSTER", "INFO"], "cluster_state:fail\r")).await;
    until(|| says(&cluster.nodes[2], &["CLUSTER", "INFO"], "cluster_state:fail\r")).await;
    let probed = gate.probe().await;
    assert!(matches!(probed, Err(GateError::Unavailable(_) | GateError::NotKnown)), "{probed:?}");
    let opened = cluster.place().try_open(Bounds::default()).await;
    assert!(matches!(opened, Err(OpenError::Unreachable(_))), "it may come back by itself");
    cluster.nodes[1].start_again();
    until_answered(|| gate.probe()).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_limited_rights_is_served_by_every_node_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificates = Certificates::make();
    let mut settings = certificates.settings();
    settings.extend(["--tls-cluster", "yes"].map(str::to_owned));
    let cluster = Cluster::start_as(Some(&settings)).await;
    let rights = ["on", ">pa55", "~dibs*", "+@all", "-@dangerous", "+info"];
    for node in &cluster.nodes {
        node.command(&[&["ACL", "SETUSER", "dibs"], &rights[..]].concat()).await;
    }
    let mut place = Place::new(&cluster.url().replace("://", "://dibs:pa55@"));
    assert!(place.try_open(Bounds::default()).await.is_err(), "nobody vouches for its nodes");
    place.ca = Some(certificates.authority());
    let gate = place.open(Bounds::default()).await;
    for _ in 0..12 {
        let round = Round::warm(&gate, 1, 1).await;
        round.granted(&round.claim("ada", "", 1)).await;
    }
    gate.probe().await.unwrap();
    gate.close().await;
}
