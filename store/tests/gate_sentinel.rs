//! The gate in a Redis under Sentinels: the contract of every gate, and what becomes of it when
//! the master falls.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/gate/mod.rs"]
mod contract;
#[path = "redis/cases.rs"]
mod cases;
#[path = "redis/certificates.rs"]
mod certificates;
#[expect(dead_code, reason = "what belongs to the test alone is not cleared")]
#[path = "redis/engine.rs"]
mod engine;
#[path = "redis/insisting.rs"]
mod insisting;
#[path = "redis/path.rs"]
mod path;
#[path = "redis/refused.rs"]
mod refused;
#[path = "redis/sentinels.rs"]
mod sentinels;
#[expect(dead_code, reason = "every server here may have to speak TLS")]
#[path = "redis/server.rs"]
mod server;
#[path = "redis/waiting.rs"]
mod waiting;

use cases::Cases;
use certificates::Certificates;
use contract::Round;
use engine::Place;
use insisting::{each_has_his_own, insisting, until_answered};
use path::Path;
use refused::refusal;
use sale::id::InstallId;
use sentinels::Watched;
use server::Server;
use store::gate::Bounds;
use store::gate::redis::{self, Address};
use store::open::OpenError;
use waiting::{replicated, says, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_contract_holds_under_sentinels() {
    let watched = Watched::start().await;
    let mut cases = Cases::on(&watched.url());
    macro_rules! case {
        ($bounds:expr => $($part:ident: $($shows:ident),+;)+) => {$($(
            cases.run(stringify!($shows), $bounds, contract::$part::$shows);
        )+)+};
    }
    every_case!(case);
    cases.hold().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_go_on_by_themselves_when_a_replica_takes_over_from_a_killed_master() {
    let mut watched = Watched::start().await;
    let place = watched.place();
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let early = round.granted(&round.claim("b0-0", "", 1)).await;
    replicated(&watched.servers[0]).await;
    watched.servers[0].kill();
    let buyers = insisting(&round);
    let successor = watched.successor_of(0).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    assert_eq!(round.read(&round.claim("b0-0", "", 1)).await, Some(early));
    until_answered(|| gate.probe()).await;

    // Until the Sentinels have told it so, it takes itself for the master.
    watched.servers[0].start_again();
    let again = place.open(Bounds::default()).await;
    let same = Round { gate: again.clone(), ..round.clone() };
    same.granted(&same.claim("late", "", 1)).await;
    until(|| says(&watched.servers[0], &["INFO"], "role:slave\r")).await;
    round.granted(&round.claim("later", "", 1)).await;
    assert_eq!(same.audit().await.held, 402);
    assert!(says(&watched.servers[successor], &["INFO"], "role:master\r").await);
    again.close().await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_deposed_while_it_was_silent_is_left_for_its_successor() {
    let watched = Watched::start().await;
    let gate = watched.place().open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    replicated(&watched.servers[0]).await;
    watched.servers[0].pause();
    let buyers = insisting(&round);
    watched.successor_of(0).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    // It runs what lies in its sockets, and then hears that it is no master any more.
    watched.servers[0].resume();
    until(|| says(&watched.servers[0], &["INFO"], "master_link_status:up\r")).await;
    assert_eq!(round.audit().await.held, 400);
    round.granted(&round.claim("late", "", 1)).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_that_an_operator_orders_is_followed() {
    let watched = Watched::start().await;
    let gate = watched.place().open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    let early = round.granted(&round.claim("ada", "", 1)).await;
    replicated(&watched.servers[0]).await;
    watched.sentinels[0].command(&["SENTINEL", "FAILOVER", "shop"]).await;
    watched.successor_of(0).await;
    until(|| says(&watched.servers[0], &["INFO"], "role:slave\r")).await;
    until_answered(|| gate.probe()).await;
    until_answered(|| gate.figures(round.slot)).await;
    round.granted(&round.claim("bob", "", 1)).await;
    assert_eq!(round.read(&round.claim("ada", "", 1)).await, Some(early));
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_is_away_or_silent_is_not_missed() {
    let mut watched = Watched::start().await;
    watched.sentinels[0].kill();
    watched.sentinels[1].pause();
    let place = watched.place();
    let gate = place.open(Bounds::default()).await;
    gate.probe().await.unwrap();
    watched.sentinels[2].kill();
    gate.probe().await.unwrap();
    let opened = place.try_open(Bounds::default()).await;
    assert!(matches!(opened, Err(OpenError::Unreachable(_))), "nobody tells where the master is");
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_to_whom_every_connection_fell_silent_are_asked_over_others() {
    let mut watched = Watched::start().await;
    let mut paths = Vec::new();
    for sentinel in &watched.sentinels {
        paths.push(Path::to(sentinel.port()).await);
    }
    let place = Place::new(&watched.url_of(paths.iter().map(|path| path.port)));
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 1_000, 1).await;
    gate.probe().await.unwrap();
    replicated(&watched.servers[0]).await;
    paths.iter().for_each(Path::silence);
    watched.servers[0].kill();
    let buyers = insisting(&round);
    watched.successor_of(0).await;
    until_answered(|| gate.figures(round.slot)).await;
    each_has_his_own(&round, buyers).await;
    until_answered(|| gate.probe()).await;
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_the_fewer_sentinels_name_is_not_used() {
    let mut watched = Watched::start().await;
    let strange = Server::start_as("", &[], None);
    let config = format!("sentinel monitor shop 127.0.0.1 {} 2\n", strange.port());
    let cut_off = Server::start_as(&config, &["--sentinel"], None);
    let known = watched.sentinels.iter().map(Server::port);
    let place = Place::new(&watched.url_of([cut_off.port()].into_iter().chain(known)));
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 10, 1).await;
    replicated(&watched.servers[0]).await;
    let down_after = |ms| ["SENTINEL", "SET", "shop", "down-after-milliseconds", ms];
    for sentinel in &watched.sentinels {
        sentinel.command(&down_after("3600000")).await;
    }
    watched.servers[0].kill();
    let opened = place.try_open(Bounds::default()).await;
    assert!(matches!(opened, Err(OpenError::Unreachable(_))), "the most name one that is away");
    assert!(gate.probe().await.is_err());
    for sentinel in &watched.sentinels {
        sentinel.command(&down_after("1000")).await;
    }
    watched.successor_of(0).await;
    until_answered(|| gate.probe()).await;
    until_answered(|| gate.figures(round.slot)).await;
    round.granted(&round.claim("ada", "", 1)).await;
    assert_eq!(strange.ask::<u64>(&["DBSIZE"]).await, 0);
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_named_wrongly_is_refused_by_a_line_that_says_how_to_name_it() {
    let watched = Watched::start().await;
    let sentinel = watched.sentinels[0].url();
    let master = watched.servers[0].url();
    for (url, hint) in [
        (watched.url().replace("/shop", "/store"), "no service store"),
        (format!("{}/shop", master.replace("redis:", "redis-sentinel:")), "as redis://"),
        (sentinel.clone(), "as redis-sentinel://"),
        (sentinel.replace("redis:", "redis-cluster:"), "as redis-sentinel://"),
        (watched.servers[1].url(), "redis-sentinel://"),
    ] {
        let text = refusal(Place::new(&url).try_open(Bounds::default()).await);
        assert!(text.contains(hint), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_with_a_password_of_their_own_get_it() {
    let watched = Watched::start().await;
    for sentinel in &watched.sentinels {
        sentinel.command(&["ACL", "SETUSER", "dibs", "on", ">w@tch", "allcommands"]).await;
        sentinel.command(&["ACL", "SETUSER", "default", "off"]).await;
    }
    for server in &watched.servers {
        server.command(&["ACL", "SETUSER", "ada", "on", ">m@ster", "allcommands", "allkeys"]).await;
        server.command(&["ACL", "SETUSER", "default", "resetpass", ">other"]).await;
    }
    let url = watched.url().replace("://", "://ada:m%40ster@");
    let open = |options: &str| {
        let address = Address::parse(&format!("{url}?prefix=shop{options}")).unwrap();
        async move { redis::migrate(&address, None, InstallId([7; 16])).await }
    };
    for options in
        ["", "&sentinel-user=dibs&sentinel-password=m%40ster", "&sentinel-password=0ther"]
    {
        let Err(OpenError::Refused(text)) = open(options).await else { panic!("{options}") };
        assert!(text.contains("sentinel-password"), "{text}");
        assert!(!text.contains("m@ster") && !text.contains("0ther"), "{text}");
    }
    open("&sentinel-user=dibs&sentinel-password=w%40tch").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_the_master_that_they_name_are_reached_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificates = Certificates::make();
    let mut watched = Watched::start_as(Some(&certificates.settings())).await;
    let mut place = watched.place();
    assert!(place.try_open(Bounds::default()).await.is_err(), "nobody vouches for them");
    place.ca = Some(certificates.authority());
    let gate = place.open(Bounds::default()).await;
    let round = Round::warm(&gate, 10, 1).await;
    replicated(&watched.servers[0]).await;
    watched.servers[0].kill();
    watched.successor_of(0).await;
    until_answered(|| gate.probe()).await;
    until_answered(|| gate.figures(round.slot)).await;
    round.granted(&round.claim("ada", "", 1)).await;
    gate.close().await;
}
