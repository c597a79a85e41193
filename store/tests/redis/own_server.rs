//! What only a Redis can show that is stopped, emptied, filled up or killed: each test has a
//! server of its own.

use sale::grant::{Answer, Claim};
use sale::status::{Move, Reason};
use sale::terms::Restock;
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::{Bounds, Gate, GateError, Slot};
use tokio::task::JoinSet;

use super::contract::{self, Round, fresh_batch};
use super::engine::{Place, connection};
use super::insisting::{each_has_his_own, insist, insisting, until_answered};
use super::refused::refusal;
use super::server::Server;

/// On disk before it is answered.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn open(server: &Server) -> Gate {
    Place::new(&server.url()).open(Bounds::default()).await
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_redis_that_evicts_keys_is_refused_with_the_remedy() {
    let server = Server::start(&[]);
    let place = Place::new(&server.url());
    for policy in ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"] {
        server.command(&["CONFIG", "SET", "maxmemory-policy", policy]).await;
        let text = refusal(place.try_open(Bounds::default()).await);
        assert!(text.contains(policy) && text.contains("maxmemory-policy noeviction"), "{text}");
    }
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    place.open(Bounds::default()).await.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_redis_that_refuses_config_is_no_worse_for_it() {
    let server = Server::start(&["--rename-command", "CONFIG", ""]);
    let gate = open(&server).await;
    Round::warm(&gate, 1, 1).await;
    gate.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_replica_is_refused_and_one_that_became_a_replica_is_seen() {
    let server = Server::start(&[]);
    let place = Place::new(&server.url());
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 5, 1).await;
    let claim = round.claim("ada", "", 1);
    gate.probe().await.unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let probed = gate.probe().await;
    assert!(matches!(probed, Err(GateError::Unavailable(_))), "{probed:?}");
    let refused = gate.grant(round.slot, fresh_batch(), std::slice::from_ref(&claim)).await;
    assert!(matches!(refused, Err(GateError::Unavailable(_))), "{refused:?}");
    refusal(place.try_open(Bounds::default()).await);
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    gate.probe().await.unwrap();
    round.granted(&claim).await;
    gate.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_password_is_needed_where_one_is_set() {
    let server = Server::start(&["--requirepass", "r1ght-p4ssword"]);
    let with = |user: &str| server.url().replace("redis://", &format!("redis://{user}@"));
    for url in [server.url(), with(":0ther-p4ssword"), with("nobody:r1ght-p4ssword")] {
        let text = refusal(Place::new(&url).try_open(Bounds::default()).await);
        assert!(text.contains("password"), "{text}");
        assert!(!text.contains("p4ssword") && !text.contains("nobody"), "{text}");
    }
    let gate = Place::new(&with(":r1ght-p4ssword")).open(Bounds::default()).await;
    gate.probe().await.unwrap();
    gate.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_redis_that_runs_no_scripts_is_refused() {
    let rights = ["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-@scripting"];
    let server = Server::start(&rights);
    let text = refusal(Place::new(&server.url()).try_open(Bounds::default()).await);
    assert!(text.contains("script") || text.contains("right"), "{text}");
}

/// A round of 100 of which 60 are sold, as its ledger would tell it.
struct Sixty {
    round: Round,
    snapshot: store::gate::Snapshot,
    claims: Vec<Claim>,
}

impl Sixty {
    async fn sold(gate: &Gate) -> Self {
        let mut snapshot = contract::snapshot(gate, 100, 1);
        let slot = Slot::first(snapshot.terms.round);
        assert!(gate.warm(snapshot.clone(), None).await.unwrap());
        let round = Round { gate: gate.clone(), slot, stock: 100 };
        let claims: Vec<_> = (0..60).map(|n| round.claim(&format!("b{n}"), "", 1)).collect();
        let grants = round.grant(&claims).await;
        for (claim, answer) in claims.iter().zip(&grants.answers) {
            let verdict = round.verdict(claim, &contract::granted(answer), Move::Confirm);
            snapshot.tickets.push(verdict);
        }
        (snapshot.available, snapshot.incarnation) = (40, 2);
        round.settle(&snapshot.tickets, &[(&*grants.batch.unwrap()).into()]).await;
        Self { round, snapshot, claims }
    }

    /// The rebuild leaves 40, and nobody gets a second unit.
    async fn is_rebuilt(&self) {
        assert!(self.round.gate.warm(self.snapshot.clone(), None).await.unwrap());
        assert_eq!(self.round.audit().await.available, 40);
        let answers = self.round.grant(&self.claims).await.answers;
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Standing(_))));
        let second = self.round.grant(&[self.round.claim("b0", "another", 1)]).await.answers;
        assert!(matches!(second[0], Answer::LimitReached(_)), "{second:?}");
        assert_eq!(self.round.audit().await.available, 40);
    }
}

/// A round that is not there is never "sold out", whatever was there before.
async fn nothing_is_warm(round: &Round) {
    let claims = [round.claim("ada", "", 1)];
    let (gate, slot) = (&round.gate, round.slot);
    let answers = [
        gate.grant(slot, fresh_batch(), &claims).await.map(drop),
        gate.settle(slot, &[], &[]).await,
        gate.read(slot, &[(claims[0].ticket, claims[0].buyer.clone())]).await.map(drop),
        gate.resend(slot, 10).await.map(drop),
        gate.figures(slot).await.map(drop),
        gate.restock(slot, "k", &Restock::new(1).unwrap()).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(GateError::NotWarm(id)) if id == slot.round), "{answer:?}");
    }
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn an_emptied_redis_is_not_loaded_and_never_sold_out() {
    let server = Server::start(&[]);
    let gate = open(&server).await;
    let sixty = Sixty::sold(&gate).await;
    server.command(&["FLUSHALL"]).await;
    nothing_is_warm(&sixty.round).await;
    sixty.is_rebuilt().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_restart_without_persistence_is_not_loaded_and_never_sold_out() {
    let mut server = Server::start(&[]);
    let gate = open(&server).await;
    let sixty = Sixty::sold(&gate).await;
    server.kill();
    server.start_again();
    until_answered(|| gate.probe()).await;
    nothing_is_warm(&sixty.round).await;
    sixty.is_rebuilt().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn calls_fail_while_the_server_is_down_and_work_after_it_without_opening_again() {
    let mut server = Server::start(&DURABLE);
    let gate = open(&server).await;
    let sixty = Sixty::sold(&gate).await;
    let waiting = sixty.round.claim("late", "", 1);
    let state = sixty.round.granted(&waiting).await;
    let before = sixty.round.audit().await;
    server.kill();
    for _ in 0..3 {
        let (slot, claims) = (sixty.round.slot, [sixty.round.claim("later", "", 1)]);
        let answers = [
            gate.probe().await,
            gate.grant(slot, fresh_batch(), &claims).await.map(drop),
            gate.figures(slot).await.map(drop),
            gate.settle(slot, &sixty.snapshot.tickets, &[]).await,
        ];
        for answer in answers {
            let failed = matches!(answer, Err(GateError::Unavailable(_) | GateError::NotKnown));
            assert!(failed, "{answer:?}");
        }
    }
    server.start_again();
    until_answered(|| gate.probe()).await;
    assert_eq!(sixty.round.audit().await, before);
    assert_eq!(sixty.round.read(&waiting).await, Some(state));
    sixty.round.granted(&sixty.round.claim("later", "", 1)).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn claims_that_are_repeated_through_a_kill_and_a_restart_are_granted_once() {
    let mut server = Server::start(&DURABLE);
    let gate = open(&server).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let buyers = insisting(&round);
    while round.figures().await.held < 100 {
        tokio::task::yield_now().await;
    }
    server.kill();
    server.start_again();
    each_has_his_own(&round, buyers).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn claims_that_are_repeated_over_cut_connections_are_granted_once() {
    let server = Server::start(&[]);
    let gate = open(&server).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let buyers = insisting(&round);
    for _ in 0..20 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
    each_has_his_own(&round, buyers).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_call_without_an_answer_is_not_known_and_its_retry_finds_the_grant() {
    let server = Server::start(&[]);
    let gate = open(&server).await;
    let round = Round::warm(&gate, 100, 1).await;
    server.pause();
    let mut calls = JoinSet::new();
    for n in 0..40 {
        let (round, claims) = (round.clone(), [round.claim(&format!("b{n}"), "", 1)]);
        calls.spawn(async move { round.gate.grant(round.slot, fresh_batch(), &claims).await });
    }
    for answer in calls.join_all().await {
        assert!(matches!(answer, Err(GateError::NotKnown)), "{answer:?}");
    }
    server.resume();
    for n in 0..40 {
        let buyer = format!("b{n}");
        let state = insist(round.clone(), buyer.clone()).await;
        assert_eq!(round.read(&round.claim(&buyer, "", 1)).await, Some(state));
    }
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.held, figures.undecided), (60, 40, 40));
    gate.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn at_the_end_of_memory_nothing_is_granted_and_verdicts_still_enter() {
    let server = Server::start(&[]);
    let gate = open(&server).await;
    let round = Round::warm(&gate, 10, 1).await;
    let claims = ["ada", "bob"].map(|buyer| round.claim(buyer, "", 1));
    let grants = round.grant(&claims).await;
    let before = round.audit().await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let late = [round.claim("cleo", "", 1)];
    let refused = gate.grant(round.slot, fresh_batch(), &late).await;
    assert!(matches!(refused, Err(GateError::Unavailable(_))), "{refused:?}");
    let probed = gate.probe().await;
    assert!(matches!(probed, Err(GateError::Unavailable(_))), "the path of a grant: {probed:?}");
    assert_eq!(round.audit().await, before);
    assert_eq!(round.read(&late[0]).await, None);
    let states = grants.answers.iter().map(contract::granted);
    let verdicts: Vec<_> = claims
        .iter()
        .zip(states)
        .zip([Move::Confirm, Move::Reject(Reason::Unprocessable)])
        .map(|((claim, state), by)| round.verdict(claim, &state, by))
        .collect();
    round.settle(&verdicts, &[(&*grants.batch.unwrap()).into()]).await;
    let figures = round.audit().await;
    assert_eq!((figures.available, figures.sold, figures.undecided), (9, 1, 0));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    round.granted(&late[0]).await;
    assert_eq!(round.audit().await.available, 8);
    gate.close().await;
}

#[tokio::test]
#[ignore = "needs a redis-server of its own: ./test brings it"]
async fn a_round_that_finds_no_room_leaves_none_of_its_copy_behind() {
    let server = Server::start(&[]);
    let gate = open(&server).await;
    let mut snapshot = contract::snapshot(&gate, 100_000, 1);
    let round =
        Round { gate: gate.clone(), slot: Slot::first(snapshot.terms.round), stock: 100_000 };
    let pending = TicketState::pending(Units::ONE, gate.now());
    for n in 0..60_000 {
        let claim = round.claim(&format!("buyer {n}"), "", 1);
        snapshot.tickets.push(round.verdict(&claim, &pending, Move::Confirm));
    }
    snapshot.available = 40_000;
    let mut redis = connection(&server.url()).await;
    let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut redis).await.unwrap();
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let room = used.trim().parse::<u64>().unwrap() + 4_000_000;
    server.command(&["CONFIG", "SET", "maxmemory", &room.to_string()]).await;
    let refused = gate.warm(snapshot.clone(), None).await;
    assert!(matches!(refused, Err(GateError::Unavailable(_))), "{refused:?}");
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap();
    assert_eq!(keys, 1, "the marker of the install");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(gate.warm(snapshot, None).await.unwrap());
    assert_eq!(round.audit().await.available, 40_000);
    gate.close().await;
}
