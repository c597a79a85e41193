//! Storage that fails: 503 with Retry-After, nothing half done, and all of it found again.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::{problem, sale};
use crate::harness::claimer::Claim;
use crate::harness::{Server, eventually};
use crate::ledger::Lock;

#[tokio::test]
async fn a_gate_that_cannot_write_grants_nothing_on_a_guess_and_a_retry_finds_what_it_granted() {
    let server = Server::start(&[("claim_timeout", "500ms")]).await;
    server.open_sale("cups", 5, 1).await;
    let earlier = Claim::of("cups", "bob").win(&server).await;
    server.result(&earlier).await;
    let lock = Lock::gate(&server).await;
    problem(server.claim_one("cups", "ada").await, 503, "not-known").await;
    // Once the disk is known to fail, nothing new is taken in.
    let first_refused = eventually("claims are refused at once", async || {
        let answer = Claim::of("cups", "eve").send(&server).await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        (answer.body["type"] == "/problems/unavailable").then_some(answer)
    })
    .await;
    assert_eq!(first_refused.body["status"], 503);
    problem(server.claim_one("cups", "joe").await, 503, "unavailable").await;
    // What was decided can be read all the same.
    assert_eq!(server.ticket(&earlier).send().await.unwrap().status(), StatusCode::OK);
    eventually("it is not called ready", async || {
        let ready = server.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
        (ready.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    lock.release().await;

    let found = async |buyer: &str| {
        eventually("the retry finds the ticket", async || {
            let claim = Claim::of("cups", buyer);
            claim.owed(&claim.send(&server).await.unwrap())
        })
        .await
    };
    let owed = vec![earlier, found("ada").await, found("eve").await, found("joe").await];
    server.until_ready().await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (4, 4));
}

#[tokio::test]
async fn a_ledger_that_cannot_write_leaves_no_sale_half_created_or_changed() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let before = server.sale("cups").await;
    let lock = Lock::ledger(&server).await;
    let (create, rename, restock) = tokio::join!(
        server.create("mugs", json!({})),
        server.patch("cups", None, json!({ "name": "X" })),
        server.patch("cups", Some("k"), json!({ "restock": 1 })),
    );
    for answer in [create, rename, restock] {
        problem(answer, 503, "unavailable").await;
    }
    problem(server.get("/v1/sales/mugs").await, 404, "not-found").await;
    lock.release().await;
    let again = eventually("the ledger is back", async || {
        let body = sale("mugs", json!({}));
        let answer = server.operator(Method::POST, "sales").json(&body).send().await.unwrap();
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(answer.status())
    })
    .await;
    assert_eq!(again, StatusCode::CREATED, "nothing was left of the first try");
    assert_eq!(server.sale("cups").await, before);
    let restocked = server.patch("cups", Some("k"), json!({ "restock": 1 })).await;
    assert_eq!(restocked.json::<Value>().await.unwrap()["stock"], 6);
}

#[tokio::test]
async fn while_the_ledger_is_away_claims_go_on_and_none_of_them_is_parked() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 500, 1).await;
    let lock = Lock::ledger(&server).await;
    let mut owed = Vec::new();
    eventually("the worker is called degraded", async || {
        for _ in 0..5 {
            owed.push(Claim::of("cups", &format!("buyer-{}", owed.len())).win(&server).await);
        }
        let ready = server.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK, "buyers are answered without the ledger");
        let report: Value = ready.json().await.unwrap();
        (report["roles"]["worker"]["state"] == "degraded").then_some(())
    })
    .await;
    for owed in &owed {
        let ticket = server.ticket_text(owed).await;
        assert!(ticket.contains(r#""status":"pending""#), "{ticket}");
    }
    let (_, parked) = server.admin(Method::GET, "parked", None).await;
    assert_eq!(parked["parked"], json!([]), "no attempt is counted");
    lock.release().await;
    let audit = server.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (owed.len() as u64, 0));
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_at_once_and_claims_nothing() {
    let server = Server::start(&[("queue_claims", "1"), ("claim_timeout", "2s")]).await;
    server.open_sale("cups", 50, 1).await;
    let lock = Lock::gate(&server).await;
    let claims = join_all((0..20).map(|n| {
        let server = &server;
        async move { server.claim_one("cups", &format!("buyer-{n}")).await }
    }))
    .await;
    let (mut busy, mut not_known) = (0, 0);
    for answer in claims {
        assert_eq!(answer.headers()["retry-after"], "1");
        let document: Value = answer.json().await.unwrap();
        match document["type"].as_str().unwrap() {
            "/problems/busy" => busy += 1,
            "/problems/not-known" => not_known += 1,
            other => panic!("{other}"),
        }
    }
    // Two calls are in flight, one claim waits.
    assert!(busy >= 10 && not_known >= 1, "{busy} {not_known}");
    lock.release().await;
    let sold = eventually("the gate is back", async || {
        let sale = server.sale("cups").await;
        (sale["held"] == 0 && sale["sold"] == not_known).then_some(sale)
    })
    .await;
    assert_eq!(sold["available"], 50 - not_known);
}

#[tokio::test]
async fn an_outbox_that_is_full_says_so_and_takes_claims_again_when_the_ledger_is_back() {
    let server = Server::start(&[("outbox_orders", "5")]).await;
    server.open_sale("cups", 50, 1).await;
    let lock = Lock::ledger(&server).await;
    let mut owed = Vec::new();
    for n in 0..5 {
        owed.push(Claim::of("cups", &format!("buyer-{n}")).win(&server).await);
    }
    problem(server.claim_one("cups", "late").await, 503, "busy").await;
    // Who has a ticket finds it all the same.
    assert_eq!(Claim::of("cups", "buyer-0").win(&server).await.id, owed[0].id);
    lock.release().await;
    owed.push(
        eventually("there is room again", async || {
            let claim = Claim::of("cups", "late");
            claim.owed(&claim.send(&server).await.unwrap())
        })
        .await,
    );
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 6);
}
