//! The gate in Redis: the contract of every gate, and what only an engine of its own has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "redis/engine.rs"]
mod engine;
#[path = "redis/own_server.rs"]
mod own_server;

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::Duration;

use contract::{Round, fresh_batch, grants, outbox};
use engine::{Place, connection, setting};
use sale::grant::Answer;
use sale::id::InstallId;
use sale::status::{Move, Reason};
use sale::terms::Restock;
use sale::ticket::TicketState;
use sale::units::Units;
use store::gate::redis::Address;
use store::gate::{Bounds, Gate, GateError, Slot, Snapshot};
use store::open::OpenError;
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

fn refusal(opened: Result<Gate, OpenError>) -> String {
    match opened {
        Err(OpenError::Refused(text)) => {
            assert!(!text.is_empty() && !text.contains('\n'), "one line: {text:?}");
            text
        }
        Err(OpenError::Unreachable(text)) => panic!("unreachable where refused is due: {text}"),
        Ok(_) => panic!("it opens"),
    }
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
        warmers.spawn(async move { gate.warm(snapshot).await.unwrap() });
    }
    let won = warmers.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    let keys = place.keys().await;
    assert_eq!(keys.len(), 1 + 2 * of_one, "the mark, and two rounds alike: {keys:?}");
    gate.close().await;
    place.clear().await;
}

/// Begins to load a round of many tickets and breaks off while its copy is being built.
async fn load_broken_off(place: &Place, gate: &Gate, snapshot: &Snapshot) {
    loop {
        let mut load = JoinSet::new();
        let (loader, part) = (gate.clone(), snapshot.clone());
        load.spawn(async move { loader.warm(part).await });
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
    assert!(gate.warm(snapshot).await.unwrap());
    assert_eq!(round.audit().await.available, 5);
    let (copies, live): (Vec<_>, Vec<_>) =
        times_to_live(&place).await.into_iter().partition(|(key, _)| key.contains(":warm:"));
    assert!(copies.iter().all(|(_, left)| *left > 0), "{copies:?}");
    assert!(live.iter().all(|(_, left)| *left == -1), "{live:?}");
    gate.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn a_node_that_knew_a_round_works_on_when_another_has_loaded_it_anew() {
    let place = place();
    let nodes = [place.open(Bounds::default()).await, place.open(Bounds::default()).await];
    let mut snapshot = contract::snapshot(&nodes[0], 0, 1);
    let slot = Slot::first(snapshot.terms.round);
    for stock in [10, 5_000_000, 200_000, 10] {
        snapshot.available = stock;
        assert!(nodes[0].warm(snapshot.clone()).await.unwrap());
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

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn the_rounds_of_another_install_are_not_touched() {
    let mut place = place();
    let round = used_round(&place).await;
    let before = round.audit().await;
    let mark = place.keys().await.into_iter().find(|key| !key.contains('{')).unwrap();
    let mut redis = connection(&place.url).await;
    redis::cmd("DEL").arg(mark).exec_async(&mut redis).await.unwrap();
    place.install = InstallId(rand::random());
    let foreign = place.open(contract::always_due()).await;
    let (slot, claims) = (round.slot, [round.claim("ada", "", 1)]);
    let tickets = [(claims[0].ticket, claims[0].buyer.clone())];
    let mut snapshot = contract::snapshot(&foreign, 1, 1);
    snapshot.terms.round = slot.round;
    let mut terms = snapshot.terms.clone();
    terms.version = 100;
    let answers = [
        foreign.grant(slot, fresh_batch(), &claims).await.map(drop),
        foreign.settle(slot, &[], &[]).await,
        foreign.read(slot, &tickets).await.map(drop),
        foreign.resend(slot, 10).await.map(drop),
        foreign.restock(slot, "new", &Restock::new(1).unwrap()).await.map(drop),
        foreign.set_terms(terms).await,
        foreign.warm(snapshot).await.map(drop),
        foreign.retire(slot.round).await,
    ];
    for answer in answers {
        let Err(GateError::Unavailable(text)) = answer else { panic!("{answer:?}") };
        assert!(text.contains("install"), "{text}");
    }
    assert_eq!(round.audit().await, before);
    round.gate.close().await;
    foreign.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn another_installs_redis_is_refused_and_ones_own_opens_again() {
    let mut place = place();
    let round = used_round(&place).await;
    let again = place.open(Bounds::default()).await;
    let same = Round { gate: again.clone(), ..round.clone() };
    assert_eq!(same.audit().await, round.audit().await);
    place.install = InstallId(rand::random());
    let text = refusal(place.try_open(Bounds::default()).await);
    assert!(text.contains("install"), "{text}");
    assert_eq!(same.audit().await, round.audit().await);
    round.gate.close().await;
    again.close().await;
    place.clear().await;
}

#[tokio::test]
#[ignore = "needs Redis: ./test brings it"]
async fn the_database_of_the_address_is_the_one_that_is_used() {
    let in_first = place();
    let mut in_third = Place::new(&format!("{}/3", setting("TEST_REDIS_URL")));
    in_third.prefix.clone_from(&in_first.prefix);
    let gate = in_third.open(Bounds::default()).await;
    Round::warm(&gate, 1, 1).await;
    assert!(in_first.keys().await.is_empty());
    assert!(in_third.keys().await.len() > 1);
    gate.close().await;
    in_third.clear().await;
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

/// The TLS address of the tests, with another password if one is given.
fn tls_place(password: Option<&str>) -> Place {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut url = url::Url::parse(&setting("TEST_REDIS_TLS_URL")).unwrap();
    if password.is_some() {
        url.set_password(password).unwrap();
    }
    let mut place = Place::new(url.as_str());
    place.ca = Some(setting("TEST_CA_FILE").into());
    place
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_user_of_limited_rights_is_served_over_tls() {
    let place = tls_place(None);
    let round = used_round(&place).await;
    let standing = round.grant(&[round.claim("bob", "", 1)]).await.answers;
    assert!(matches!(standing[0], Answer::Standing(_)));
    round.gate.close().await;
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_certificate_that_nobody_vouches_for_is_not_spoken_to() {
    let mut place = tls_place(None);
    place.ca = None;
    assert!(place.try_open(Bounds::default()).await.is_err());
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let place = tls_place(Some("0ther-p4ssword"));
    let text = refusal(place.try_open(Bounds::default()).await);
    assert!(text.contains("password"), "{text}");
    assert!(!text.contains("0ther-p4ssword"), "{text}");
}

#[tokio::test]
#[ignore = "needs Redis with TLS: ./test brings it"]
async fn a_prefix_that_the_user_has_no_right_to_is_refused() {
    let mut place = tls_place(None);
    place.prefix = place.prefix.replace("dibs", "foreign");
    let text = refusal(place.try_open(Bounds::default()).await);
    let password = url::Url::parse(&place.url).unwrap().password().unwrap().to_owned();
    assert!(!text.contains(&password), "{text}");
}

#[tokio::test]
async fn where_nobody_listens_or_answers_it_is_unreachable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_port, closed_port) =
        (silent.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
    drop(closed);
    for port in [silent_port, closed_port] {
        for scheme in ["redis", "rediss"] {
            let place = Place::new(&format!("{scheme}://ada:s3cret@127.0.0.1:{port}"));
            let opening =
                tokio::time::timeout(Duration::from_secs(30), place.try_open(Bounds::default()));
            let Err(OpenError::Unreachable(text)) = opening.await.unwrap() else {
                panic!("nobody is there")
            };
            assert!(text.contains(&port.to_string()), "{text}");
            assert!(!text.contains("s3cret") && !text.contains("ada"), "{text}");
        }
    }
}

#[test]
fn an_address_never_shows_its_user_or_password() {
    let address = Address::parse("rediss://ada:s3cret@localhost:7000/2?prefix=shop").unwrap();
    for text in [address.to_string(), format!("{address:?}")] {
        assert!(text.contains("localhost:7000"), "{text}");
        assert!(!text.contains("ada") && !text.contains("s3cret"), "{text}");
    }
    for bad in [
        "",
        "localhost",
        "http://h",
        "redis://",
        "redis://s3cret@h/not-a-number",
        "redis://:s3cret@h?prefix=",
        "redis://:s3cret@h?prefix={x}",
        "redis://:s3cret@h?other=1",
        "redis://:s3cret@h:99999",
    ] {
        let refused = Address::parse(bad).expect_err(bad);
        assert!(!refused.contains("s3cret"), "{refused}");
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
