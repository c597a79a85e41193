//! No worker for a while.

use futures_util::future::join_all;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::Claim;
use crate::harness::eventually;
use crate::install::{Install, Sql};

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn orders_wait_for_a_worker_and_are_sent_again_and_each_is_decided_once() {
    const ORDERS: i64 = 200;
    let install = Install::migrated(Sql::MySql).await;
    let often = [("resend_after", "100ms"), ("resend_most", "200ms"), ("sweep_every", "50ms")];
    let nobody = Crew { api: 1, worker: 0, push: 1 };
    let mut deployment = Deployment::on(install, nobody, &often).await;
    let (api, push) = (deployment.api(), deployment.push());
    api.open_sale("cups", 1000, 1).await;
    let claims: Vec<_> = (0..ORDERS).map(|n| Claim::of("cups", &format!("b{n}"))).collect();
    let owed = join_all(claims.iter().map(|claim| claim.win(api))).await;
    for owed in &owed {
        let pending = push.ticket_text(owed).await;
        assert!(pending.contains(r#""status":"pending""#), "{pending}");
    }
    eventually("batches are sent again", async || {
        (api.gauge("dibs_api_batches_sent_again_total").await >= 10.0).then_some(())
    })
    .await;
    assert_eq!(api.sale("cups").await["held"], ORDERS);

    deployment.hire().await;
    deployment.hire().await;
    let audit = deployment.api().audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (ORDERS as u64, 0));
    assert_eq!(deployment.install.number("SELECT COUNT(*) FROM orders").await, ORDERS);
    deployment.check_figures("cups").await;
}
