//! An order that the ledger refuses, among five hundred that come with it.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::install::{Install, Sql};
use crate::load::{Load, until_final};
use crate::proxy::Proxy;
use crate::topic::Topic;

const POISON: &str = "CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW \
    IF NEW.buyer LIKE 'eve-%' AND NEW.status = 'confirmed' THEN \
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'on purpose'; END IF";

/// Orders in the batch.
const TOGETHER: usize = 500;

/// Connections that the load may open or close at an api meanwhile, at the most.
const OTHERS: usize = 30;

/// Buyers beside her who come at once: enough of them, whatever the load does.
const CROWD: usize = TOGETHER + 3 * OTHERS;

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn one_poisoned_order_in_a_batch_of_five_hundred_is_parked_and_delays_no_other() {
    let mut install = Install::migrated(Sql::MySql).await;
    install.on_ledger(POISON).await;
    let mut topic = Topic::of(&install).await;
    let gate = install.through_proxy("gate").await;
    let settings = [("retry_every", "20ms"), ("claim_timeout", "30s")];
    let deployment = Deployment::on(install, Crew::TWO_EACH, &settings).await;
    let (api, install) = (deployment.api(), &deployment.install);
    api.open_sale("cups", 100_000, 1).await;
    let mut load = Load::begin(&deployment).await;
    load.goes_on().await;

    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut together = 0;
    while together < TOGETHER {
        assert!(bad.len() < 5, "so many claims should come together, not {together}");
        let (eve, others) = claim_together(api, &gate, bad.len()).await;
        together = batch_of(&mut topic, &eve).await;
        good.extend(others);
        bad.push(eve);
    }
    until_final(api, &good).await;
    for eve in &bad {
        until_parked(&deployment, eve).await;
    }
    install.on_ledger("DROP TRIGGER poison").await;
    for eve in &bad {
        let (status, _) = api.admin(Method::POST, &format!("parked/{}/resend", eve.id), None).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }
    good.extend(bad);
    until_final(api, &good).await;
    load.end(&deployment).await;
    let audit = api.audit("cups", &good).await;
    assert_eq!((audit.confirmed_units as usize, audit.tickets.len()), (good.len(), good.len()));
    deployment.check_figures("cups").await;
}

/// Eve and the others claim while the gate is held, so that all but the first, which lie before
/// the gate by then, become one batch.
async fn claim_together(api: &Server, gate: &Proxy, attempt: usize) -> (Owed, Vec<Owed>) {
    let claims = |count: usize, name: &str| -> Vec<_> {
        (0..count).map(|n| Claim::of("cups", &format!("{name}-{attempt}-{n}"))).collect()
    };
    let (first, crowd) = (claims(10, "first"), claims(CROWD, "crowd"));
    let eve = Claim::of("cups", &format!("eve-{attempt}"));
    // Each comes by a connection of his own.
    let http = reqwest::Client::new();
    let win = async |claim: &Claim| {
        let ticket = async || claim.owed(&claim.send_to(&http, &api.base).await.unwrap());
        eventually("he has a ticket", ticket).await
    };
    let before = connections(api).await;
    gate.hold();
    let opened = async |more: usize| {
        eventually("the claims have come", async || {
            (connections(api).await >= before + more).then_some(())
        })
        .await;
    };
    let first = join_all(first.iter().map(&win));
    let (early, late) = crowd.split_at(CROWD / 2);
    let others = async {
        opened(10).await;
        let early = join_all(early.iter().map(&win));
        let late = join_all(late.iter().map(&win));
        let mend = async {
            opened(TOGETHER + 2 * OTHERS).await;
            // Whoever has connected asks before these do.
            for _ in 0..10 {
                api.http.get(format!("{}/v1/now", api.base)).send().await.unwrap();
            }
            gate.mend();
        };
        tokio::join!(early, win(&eve), late, mend)
    };
    let (mut all, (early, eve, late, ())) = tokio::join!(first, others);
    all.extend(early.into_iter().chain(late));
    (eve, all)
}

async fn connections(api: &Server) -> usize {
    api.gauge("dibs_http_connections").await as usize
}

/// How many orders the message has that brought this one.
async fn batch_of(topic: &mut Topic, owed: &Owed) -> usize {
    loop {
        let message: Value = serde_json::from_slice(&topic.next().await).unwrap();
        let orders = message["orders"].as_array().unwrap();
        if orders.iter().any(|order| order["ticket"] == owed.id) {
            return orders.len();
        }
    }
}

/// Waits until an order has gone up the ladder and is parked. It is still pending.
async fn until_parked(deployment: &Deployment, owed: &Owed) {
    let (api, install) = (deployment.api(), &deployment.install);
    let row = eventually("it is parked", async || {
        // The ladder takes 45 s; here its next step is always due.
        install.on_ledger("UPDATE aside SET retry_at = 1 WHERE retry_at IS NOT NULL").await;
        let (_, parked) = api.admin(Method::GET, "parked", None).await;
        let rows = parked["parked"].as_array()?;
        rows.iter().find(|row| row["ticket"] == owed.id && row["retry_at"].is_null()).cloned()
    })
    .await;
    assert_eq!(row["attempts"], 4, "{row}");
    assert!(row["error"].as_str().unwrap().contains("on purpose"), "{row}");
    let ticket: Value = api.read(owed).await.json().await.unwrap();
    assert_eq!(ticket["status"], "pending", "{ticket}");
}
