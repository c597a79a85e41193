//! Engines that keep their connections and say nothing for a while, or have forgotten the scripts.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::install::{self, Install, REDIS, Sql};
use crate::load::{Load, win};
use crate::server::Server as Redis;
use crate::sse::{Stream, event_of};
use crate::ws::{Socket, frame_of};

/// How long the gate is silent.
const SILENT: Duration = Duration::from_secs(20);

/// Batches that the log has not taken in time.
const LEFT: &str = "dibs_api_batches_left_total";

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn each_claim_at_a_silent_redis_is_answered_and_its_retry_finds_one_ticket() {
    let redis = Redis::start(&[]);
    let install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    let [here, there] = &deployment.apis[..] else { panic!("two apis were started") };
    here.open_sale("cups", 200, 1).await;
    let mut load = Load::begin(&deployment).await;
    load.goes_on().await;

    redis.pause();
    let claims: Vec<_> = (0..200).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    // All are answered before it goes on.
    let answers = join_all(claims.iter().map(|claim| claim.send(here)));
    let (answers, ()) = tokio::join!(answers, tokio::time::sleep(SILENT));
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        let kind = answer.body["type"].as_str().unwrap();
        assert!(["/problems/not-known", "/problems/unavailable"].contains(&kind), "{answer:?}");
    }
    redis.resume();
    let mut owed = Vec::new();
    for claim in &claims {
        let found = [find(claim, here).await, find(claim, there).await];
        assert_eq!(found[0], found[1], "one ticket");
        owed.extend(found);
    }
    load.goes_on().await;

    load.end(&deployment).await;
    let audit = here.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (200, 200));
    deployment.check_figures("cups").await;
}

/// Claims again until there is a ticket.
async fn find(claim: &Claim, api: &Server) -> Owed {
    eventually("he has a ticket", async || claim.owed(&claim.send(api).await.unwrap())).await
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_redis_that_forgets_its_scripts_under_load_fails_no_claim() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let mut load = Load::begin(&deployment).await;
    let client = redis::Client::open(install::address(REDIS)).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    for _ in 0..10 {
        load.goes_on().await;
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
    }
    load.goes_on().await;
    let told = load.end(&deployment).await;
    let failed = &told.memory.unanswered;
    assert!(failed.is_empty(), "{} claims failed: {failed:?}", failed.len());
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn while_the_log_confirms_nothing_in_time_tickets_are_pending_by_every_way_and_then_final() {
    let mut install = Install::migrated(Sql::MySql).await;
    let log = install.through_proxy("log").await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    let (api, apis) = (deployment.api(), &deployment.apis);
    api.open_sale("cups", 100, 1).await;
    let mut load = Load::begin(&deployment).await;
    load.goes_on().await;

    log.hold();
    let before = join_all(apis.iter().map(|api| api.gauge(LEFT))).await;
    let owed = win(&deployment, "late", 100).await;
    for (api, before) in apis.iter().zip(before) {
        eventually("the log does not answer in time", async || {
            (api.gauge(LEFT).await > before).then_some(())
        })
        .await;
    }
    let watched = owed.iter().zip(deployment.pushes.iter().cycle());
    let watchers = join_all(watched.map(|(owed, push)| Watcher::of(owed, push))).await;
    log.mend();
    join_all(watchers.into_iter().map(Watcher::hears_the_result)).await;
    load.goes_on().await;

    load.end(&deployment).await;
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (100, 100));
    deployment.check_figures("cups").await;
}

/// Reads a pending ticket by every way.
struct Watcher<'a> {
    owed: &'a Owed,
    push: &'a Server,
    stream: Stream,
    socket: Socket,
}

impl<'a> Watcher<'a> {
    async fn of(owed: &'a Owed, push: &'a Server) -> Self {
        let pending = push.ticket_text(owed).await;
        assert!(pending.contains(r#""status":"pending","reason":null,"version":1,"final":false"#));
        let poll = push.ticket(owed).header("if-none-match", "\"0\"").header("prefer", "wait=30");
        assert_eq!(poll.send().await.unwrap().text().await.unwrap(), pending);
        let mut stream = push.stream(owed).await;
        assert_eq!(stream.event().await.unwrap(), event_of(1, &pending));
        let mut socket = Socket::watching(push, &owed.token).await;
        assert_eq!(socket.told().await, frame_of(&pending));
        Self { owed, push, stream, socket }
    }

    /// The first thing that is told after that, and by every way the same.
    async fn hears_the_result(mut self) {
        let polled = eventually("it has changed", async || {
            let poll = self.push.ticket(self.owed).header("if-none-match", "\"1\"");
            let answer = poll.header("prefer", "wait=30").send().await.unwrap();
            (answer.status() == StatusCode::OK).then_some(answer)
        })
        .await;
        let text = polled.text().await.unwrap();
        let ticket: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&ticket["status"], &ticket["version"]), (&"confirmed".into(), &2.into()));
        assert_eq!(self.stream.event().await.unwrap(), event_of(2, &text));
        assert_eq!(self.stream.event().await, None, "a result is the end of the stream");
        assert_eq!(self.socket.told().await, frame_of(&text));
        assert_eq!(self.push.ticket_text(self.owed).await, text);
    }
}
