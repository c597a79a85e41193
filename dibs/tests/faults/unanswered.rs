//! Calls of the gate that are done, and of which nobody hears.

use reqwest::StatusCode;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::Claim;
use crate::install::{Install, Sql};
use crate::load::Load;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_grant_whose_answer_is_lost_is_not_known_and_its_retry_finds_the_one_unit() {
    let mut install = Install::migrated(Sql::MySql).await;
    let gate = install.through_proxy("gate").await;
    let deployment = Deployment::on(install, Crew::TWO_EACH, &[]).await;
    let [here, there] = &deployment.apis[..] else { panic!("two apis were started") };
    here.open_sale("cups", 1, 1).await;
    let claim = Claim::of("cups", "ada the unlucky");
    gate.lose_answer_to(&claim.buyer);
    let answer = claim.send(here).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.body["type"], "/problems/not-known");
    let other = Claim::of("cups", "bob").send(there).await.unwrap();
    assert_eq!(other.body["type"], "/problems/sold-out", "the unit was granted: {other:?}");
    let mut owed = Vec::new();
    for api in [here, there] {
        let again = claim.send(api).await.unwrap();
        assert_eq!(again.status, StatusCode::OK, "{again:?}");
        owed.extend(claim.owed(&again));
    }
    assert_eq!(owed[0], owed[1], "one ticket");

    let mut load = Load::begin(&deployment).await;
    for _ in 0..10 {
        // Any call, of any process.
        gate.lose_answer_to("\r\n");
        gate.until_lost().await;
        load.goes_on().await;
    }
    load.end(&deployment).await;
    let audit = here.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (1, 1));
    deployment.check_figures("cups").await;
}
