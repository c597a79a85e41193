//! An engine that is gone for a while.

use std::time::Duration;

use crate::deployment::{Crew, Deployment};
use crate::install::{PULSAR, REDIS, Sql};
use crate::load::Load;
use crate::outage::Outage;

/// How long it is gone.
const GONE: Duration = Duration::from_secs(10);

#[tokio::test]
#[ignore = "needs engines that can be stopped: ./test brings them"]
async fn a_redis_that_is_killed_under_load_and_comes_back_costs_nobody_his_result() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    // A log file whose writes wait for a slow disk may lack the last of what was acknowledged.
    let load = Load::begin_at_forgetful_gate(&deployment).await;
    outage("redis", REDIS, load, &deployment).await;
}

#[tokio::test]
#[ignore = "needs engines that can be stopped: ./test brings them"]
async fn a_pulsar_that_is_killed_under_load_and_comes_back_costs_nobody_his_result() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let load = Load::begin(&deployment).await;
    outage("pulsar", PULSAR, load, &deployment).await;
}

#[tokio::test]
#[ignore = "needs engines that can be stopped: ./test brings them"]
async fn a_mysql_that_is_killed_under_load_and_comes_back_costs_nobody_his_result() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let load = Load::begin(&deployment).await;
    outage("mysql", Sql::MySql.variable(), load, &deployment).await;
    let set_aside = "SELECT COUNT(*) FROM aside";
    assert_eq!(deployment.install.number(set_aside).await, 0);
    for worker in &deployment.workers {
        let metrics = worker.metrics().await;
        let counted = metrics.contains("dibs_worker_set_aside_total{");
        assert!(!counted, "no attempt is counted: {metrics}");
    }
}

async fn outage(engine: &'static str, variable: &str, mut load: Load, deployment: &Deployment) {
    load.goes_on().await;
    let outage = Outage::of(engine, variable).await;
    tokio::time::sleep(GONE).await;
    outage.end().await;
    load.goes_on().await;
    load.end(deployment).await;
}
