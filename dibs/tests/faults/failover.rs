//! A Redis Cluster that loses a master.

use crate::cluster::Cluster;
use crate::deployment::{Crew, Deployment};
use crate::install::{Install, Sql};
use crate::load::{Load, win};
use crate::waiting::{says, until};

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn a_master_that_is_killed_under_load_is_followed_by_its_replica_and_nothing_is_lost() {
    let mut cluster = Cluster::start().await;
    let install = Install::at(&cluster.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", 300, 1).await;
    // A replica may lack the last of what its master has acknowledged.
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    let round = deployment.install.number("SELECT round FROM rounds WHERE sale = 'cups'").await;
    let fallen = cluster.master_of(&format!("{{{round}:0}}")).await;
    let lock = deployment.install.lock().await;
    let mut owed = win(&deployment, "early", 200).await;
    cluster.nodes[fallen].kill();
    lock.release().await;
    until(|| says(&cluster.nodes[fallen + 3], &["INFO"], "role:master\r")).await;
    owed.extend(win(&deployment, "late", 100).await);
    load.goes_on().await;
    cluster.nodes[fallen].start_again();
    until(|| says(&cluster.nodes[fallen], &["INFO"], "role:slave\r")).await;
    load.goes_on().await;

    load.end(&deployment).await;
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (300, 0), "all of them fit");
    deployment.check_figures("cups").await;
}
