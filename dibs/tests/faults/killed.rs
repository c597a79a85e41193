//! Processes that are killed.

use crate::deployment::{Crew, Deployment};
use crate::install::Sql;
use crate::load::Load;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn every_process_is_killed_once_under_load_and_no_answer_is_lost() {
    let mut deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let mut load = Load::begin(&deployment).await;
    let Deployment { apis, workers, pushes, .. } = &mut deployment;
    for role in [apis, workers, pushes] {
        for _ in 0..role.len() {
            load.goes_on().await;
            let killed = role.remove(0);
            role.push(killed.crash_and_restart().await);
        }
    }
    load.goes_on().await;
    load.end(&deployment).await;
}
