//! A merchant who changes a sale at one api while it is sold at the other.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::Claim;
use crate::harness::eventually;
use crate::install::Sql;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn stock_goes_up_and_down_a_sale_is_closed_and_its_winners_are_listed() {
    let deployment = Deployment::start(Sql::MySql, Crew { api: 2, worker: 1, push: 1 }).await;
    let [here, there] = &deployment.apis[..] else { panic!("two apis were started") };
    here.open_sale("cups", 2, 1).await;
    let mut owed = Vec::new();
    for (n, api) in [here, there].into_iter().enumerate() {
        owed.push(Claim::of("cups", &format!("early-{n}")).win(api).await);
    }
    let late = Claim::of("cups", "late");
    assert_eq!(late.send(here).await.unwrap().body["type"], "/problems/sold-out");

    let restock = async |key: &str, units: i32| -> Value {
        // Each key twice, at either api: it counts once.
        let [first, second] =
            [there, here].map(|api| api.patch("cups", Some(key), json!({ "restock": units })));
        let first: Value = first.await.json().await.unwrap();
        let second: Value = second.await.json().await.unwrap();
        assert_eq!(first["applied"], second["applied"]);
        first["applied"].clone()
    };
    assert_eq!(restock("more", 10).await, 10);
    owed.push(late.win(here).await);
    assert_eq!(restock("less", -4).await, -4);
    assert_eq!(restock("all", -100).await, -5, "at most what is available");
    let refused = Claim::of("cups", "too late").send(there).await.unwrap();
    assert_eq!(refused.body["type"], "/problems/sold-out");
    assert_eq!(restock("again", 20).await, 20);
    let crowd: Vec<_> = (0..15).map(|n| Claim::of("cups", &format!("=b{n}, \"x\""))).collect();
    owed.extend(join_all(crowd.iter().map(|claim| claim.win(there))).await);

    let closed = here.patch("cups", None, json!({ "closed": true })).await;
    assert_eq!(closed.status(), StatusCode::OK);
    eventually("the other api knows it too", async || {
        let answer = Claim::of("cups", "after the end").send(there).await.unwrap();
        (answer.body["type"] == "/problems/closed").then_some(())
    })
    .await;
    let audit = there.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (18, 18));
    deployment.check_figures("cups").await;
    assert_eq!(here.sale("cups").await["stock"], 23);

    let command = ["sale", "tickets", "cups", "--status", "confirmed", "--csv"];
    let sheet = deployment.install.operator(&there.base, &command).await;
    let winners: HashSet<_> = csv::Reader::from_reader(sheet.as_bytes())
        .into_records()
        .map(|row| row.unwrap())
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    let expected: HashSet<_> = owed.into_iter().map(|owed| (owed.id, owed.buyer)).collect();
    assert_eq!(winners, expected);
}
