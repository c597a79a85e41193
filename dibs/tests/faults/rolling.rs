//! Every process restarted in turn behind the front door.

use std::net::SocketAddr;

use crate::deployment::{Crew, Deployment};
use crate::door::Door;
use crate::harness::Server;
use crate::install::Sql;
use crate::load::Load;

#[tokio::test]
#[ignore = "needs Redis, Pulsar, MySQL and nginx: ./test brings them"]
async fn a_rolling_restart_of_every_process_fails_no_claim_and_loses_no_result() {
    let mut deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let door = Door::before(&listening(&deployment.apis), &listening(&deployment.pushes)).await;
    let mut load = Load::begin_behind(&door.base, &deployment).await;
    let Deployment { apis, workers, pushes, .. } = &mut deployment;
    for role in [apis, workers, pushes] {
        for _ in 0..role.len() {
            load.goes_on().await;
            let mut process = role.remove(0);
            let ended = process.terminate().await;
            assert_eq!(ended.code(), Some(0), "{}", process.log());
            role.push(process.start_again().await);
        }
    }
    load.goes_on().await;
    let told = load.end(&deployment).await;
    let failed = &told.memory.unanswered;
    assert!(failed.is_empty(), "{} claims failed: {failed:?}", failed.len());
}

fn listening(role: &[Server]) -> Vec<SocketAddr> {
    role.iter()
        .map(|server| server.base.strip_prefix("http://").unwrap().parse().unwrap())
        .collect()
}
