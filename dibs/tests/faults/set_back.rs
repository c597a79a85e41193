//! A Redis that comes back as it was a while ago.

use crate::deployment::{Crew, Deployment};
use crate::install::{Install, Sql};
use crate::load::{Load, win};
use crate::own_redis::Redis;

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn a_redis_that_is_set_back_to_an_older_file_sells_no_unit_twice_and_loses_no_order() {
    let mut redis = Redis::start().await;
    let install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", 300, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    let mut owed = win(&deployment, "decided", 50).await;
    let lock = deployment.install.lock().await;
    owed.extend(win(&deployment, "kept", 50).await);
    let snapshot = redis.snapshot();
    owed.extend(win(&deployment, "lost", 100).await);
    redis.set_back(&snapshot).await;
    lock.release().await;
    load.goes_on().await;
    owed.extend(win(&deployment, "late", 100).await);

    load.end(&deployment).await;
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (300, 0), "all of them fit");
    deployment.check_figures("cups").await;
}
