//! A Redis that loses all it holds while orders wait for their verdict.

use rustix::process::Signal;

use crate::deployment::{Crew, Deployment};
use crate::install::{Install, Sql};
use crate::load::{Load, until_final, win, win_what_is_left};
use crate::server::Server;

const STOCK: u32 = 300;

/// Orders that a token has brought back.
const BROUGHT_BACK: &str = r#"dibs_push_repairs_total{result="published"}"#;

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn a_redis_that_is_emptied_is_filled_again_with_the_orders_that_the_log_has() {
    let redis = Server::start(&[]);
    let install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", STOCK, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    let lock = deployment.install.lock().await;
    let mut owed = win(&deployment, "early", 200).await;
    redis.command(&["FLUSHALL"]).await;
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
    let redis = Server::start(&[]);
    let mut install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let log = install.through_proxy("log").await;
    let mut deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", STOCK, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    log.cut();
    let early = win(&deployment, "early", 200).await;
    redis.command(&["FLUSHALL"]).await;
    // What the apis have not published yet ends with them.
    for api in &mut deployment.apis {
        api.signal(Signal::KILL);
        api.ended().await;
    }
    log.mend();
    // They start at no gate that is not marked as theirs.
    deployment.install.migrate().await;
    for _ in 0..deployment.apis.len() {
        let killed = deployment.apis.remove(0);
        deployment.apis.push(killed.start_again().await);
    }
    load.goes_on().await;
    let late = win_what_is_left(&deployment, "late", STOCK as usize).await;
    until_final(deployment.api(), &early).await;
    until_final(deployment.api(), &late).await;
    let mut brought_back = 0.0;
    for push in &deployment.pushes {
        brought_back += push.gauge(BROUGHT_BACK).await;
    }
    assert!(brought_back > 0.0, "nothing else had the early orders");

    load.end(&deployment).await;
    let owed: Vec<_> = early.into_iter().chain(late).collect();
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!(audit.confirmed_units, u64::from(STOCK), "all that was wanted and there was sold");
    assert_eq!(audit.tickets.len(), owed.len(), "each has one result");
    deployment.check_figures("cups").await;
}
