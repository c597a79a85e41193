//! A Redis that loses all it holds while orders wait for their verdict.

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::eventually;
use crate::install::{Install, Sql};
use crate::load::{Load, until_final, win};
use crate::own_redis::Redis;

const STOCK: u32 = 300;

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn a_redis_that_is_emptied_is_filled_again_with_the_orders_that_the_log_has() {
    let redis = Redis::start().await;
    let install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", STOCK, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    let lock = deployment.install.lock().await;
    let mut owed = win(&deployment, "early", 200).await;
    redis.empty();
    lock.release().await;
    load.goes_on().await;
    owed.extend(win(&deployment, "late", 100).await);

    load.end(&deployment).await;
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (STOCK.into(), 0), "all of them fit");
    deployment.check_figures("cups").await;
}

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn of_a_redis_that_is_emptied_while_the_log_is_away_the_tokens_bring_the_orders_back() {
    let redis = Redis::start().await;
    let mut install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let log = install.through_proxy("log").await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", STOCK, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    log.cut();
    let early = win(&deployment, "early", 200).await;
    redis.empty();
    log.mend();
    load.goes_on().await;
    let late = join_all((0..STOCK).map(|n| claim(&deployment, n))).await;
    let late: Vec<_> = late.into_iter().flatten().collect();
    until_final(deployment.api(), &early).await;
    until_final(deployment.api(), &late).await;

    load.end(&deployment).await;
    let owed: Vec<_> = early.into_iter().chain(late).collect();
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!(audit.confirmed_units, u64::from(STOCK), "all that was wanted and there was sold");
    assert_eq!(audit.tickets.len(), owed.len(), "each has one result");
    deployment.check_figures("cups").await;
}

/// A late buyer claims until he has a ticket, or is told that nothing is left.
async fn claim(deployment: &Deployment, n: u32) -> Option<Owed> {
    let api = &deployment.apis[n as usize % 2];
    let claim = Claim::of("cups", &format!("late-{n}"));
    eventually("he is answered", async || {
        let answer = claim.send(api).await.unwrap();
        let refused = answer.body["type"] == "/problems/sold-out";
        assert!(refused || answer.status != StatusCode::CONFLICT, "{answer:?}");
        (refused || answer.status.is_success()).then(|| claim.owed(&answer))
    })
    .await
}
