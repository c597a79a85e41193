//! Orders that the ledger cannot take.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::install::{Install, Sql};

const POISON: &str = "CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW \
    IF NEW.buyer IN ('eve', 'mallory') AND NEW.status = 'confirmed' THEN \
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose'; END IF";

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn orders_that_fail_delay_nobody_are_parked_and_an_operator_decides_what_becomes_of_them() {
    let install = Install::migrated(Sql::MySql).await;
    install.on_ledger(POISON).await;
    let crew = Crew { api: 2, worker: 2, push: 1 };
    let deployment = Deployment::on(install, crew, &[("retry_every", "20ms")]).await;
    let (api, other, install) = (deployment.api(), &deployment.apis[1], &deployment.install);
    api.open_sale("cups", 50, 1).await;
    let lock = install.lock().await;
    let buyers: Vec<_> = (0..20).map(|n| Claim::of("cups", &format!("buyer-{n}"))).collect();
    let bad = ["eve", "mallory"].map(|buyer| Claim::of("cups", buyer));
    // All at once, so that they share batches.
    let (bad, good) = tokio::join!(
        join_all(bad.iter().map(|claim| claim.win(api))),
        join_all(buyers.iter().map(|claim| claim.win(api))),
    );
    lock.release().await;
    for owed in &good {
        assert_eq!(api.result(owed).await["status"], "confirmed");
    }
    for owed in &bad {
        let row = eventually("it has gone up the ladder and is parked", async || {
            // The ladder takes 45 s; here its next step is always due.
            let due = "UPDATE aside SET retry_at = 1 WHERE retry_at IS NOT NULL";
            install.on_ledger(due).await;
            row_of(&parked(other).await, owed).filter(|row| row["retry_at"].is_null())
        })
        .await;
        assert_eq!((&row["attempts"], &row["units"]), (&json!(4), &json!(1)), "{row}");
        assert!(row["error"].as_str().unwrap().contains("on purpose"), "{row}");
        let pending = deployment.push().ticket_text(owed).await;
        assert!(pending.contains(r#""status":"pending""#), "{pending}");
    }

    let [eve, mallory] = &bad[..] else { panic!("two were poisoned") };
    let listed = install.operator(&api.base, &["parked", "list"]).await;
    assert!(listed.contains(&eve.id) && listed.contains(&mallory.id), "{listed}");
    install.operator(&api.base, &["parked", "reject", &mallory.id]).await;
    let rejected = api.result(mallory).await;
    assert_eq!(
        (&rejected["status"], &rejected["reason"]),
        (&json!("rejected"), &json!("unprocessable"))
    );
    install.on_ledger("DROP TRIGGER poison").await;
    install.operator(&other.base, &["parked", "resend", &eve.id]).await;
    assert_eq!(api.result(eve).await["status"], "confirmed");

    let owed: Vec<_> = good.into_iter().chain(bad).collect();
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (21, 1));
    assert_eq!(install.number("SELECT COUNT(*) FROM aside").await, 0);
    deployment.check_figures("cups").await;
}

async fn parked(api: &Server) -> Value {
    api.admin(Method::GET, "parked", None).await.1
}

fn row_of(parked: &Value, owed: &Owed) -> Option<Value> {
    parked["parked"].as_array()?.iter().find(|row| row["ticket"] == owed.id).cloned()
}
