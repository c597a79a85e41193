//! A Redis that comes back as it was a while ago.

use crate::deployment::{Crew, Deployment};
use crate::install::{Install, Sql};
use crate::load::{Load, win, win_what_is_left};
use crate::own_redis::{set_back, snapshot};
use crate::server::Server;

const STOCK: u32 = 300;

/// Orders that are granted after the moment to which it is set back.
const LOST: usize = 100;

#[tokio::test]
#[ignore = "needs Pulsar, MySQL and a redis-server of its own: ./test brings them"]
async fn a_redis_that_is_set_back_to_an_older_file_sells_no_unit_twice_and_loses_no_order() {
    let mut redis = Server::start(&[]);
    let install = Install::at(&redis.url(), Sql::MySql).await;
    install.migrate().await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    deployment.api().open_sale("cups", STOCK, 1).await;
    let mut load = Load::begin_at_forgetful_gate(&deployment).await;
    load.goes_on().await;

    let mut owed = win(&deployment, "decided", 50).await;
    let lock = deployment.install.lock().await;
    owed.extend(win(&deployment, "kept", 50).await);
    let snapshot = snapshot(&redis).await;
    owed.extend(win(&deployment, "lost", LOST).await);
    set_back(&mut redis, &snapshot).await;
    // More than are left, from the moment on in which the gate knows no better.
    let late = win_what_is_left(&deployment, "late", 200);
    let (late, ()) = tokio::join!(late, lock.release());
    owed.extend(late);
    load.goes_on().await;

    load.end(&deployment).await;
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!(audit.confirmed_units, u64::from(STOCK), "all that was wanted and there was sold");
    assert_eq!(audit.tickets.len(), owed.len(), "each has one result");
    assert!(audit.rejected <= LOST as u64, "only what the gate had lost is granted twice");
    deployment.check_figures("cups").await;
}
