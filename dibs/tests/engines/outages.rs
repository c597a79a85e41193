//! Engines that are cut off, one at a time.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::ask::problem;
use crate::deployment::{Crew, Deployment};
use crate::harness::claimer::{Claim, Owed};
use crate::harness::{Server, eventually};
use crate::install::{Install, Sql};
use crate::proxy::Proxy;

/// A deployment whose engine of one seam is reached through a proxy.
async fn behind_proxy(seam: &'static str) -> (Deployment, Proxy) {
    let mut install = Install::migrated(Sql::MySql).await;
    let proxy = install.through_proxy(seam).await;
    let settings = [("claim_timeout", "2s")];
    let deployment = Deployment::on(install, Crew::ONE_EACH, &settings).await;
    deployment.api().open_sale("cups", 1000, 1).await;
    (deployment, proxy)
}

/// So many buyers of this name claim at once, and all of them win.
async fn win(api: &Server, name: &str, buyers: usize) -> Vec<Owed> {
    let claims: Vec<_> = (0..buyers).map(|n| Claim::of("cups", &format!("{name}-{n}"))).collect();
    join_all(claims.iter().map(|claim| claim.win(api))).await
}

async fn assert_pending(push: &Server, owed: &[Owed]) {
    for owed in owed {
        let ticket = push.ticket_text(owed).await;
        assert!(ticket.contains(r#""status":"pending""#), "{ticket}");
    }
}

/// What a process says of one of its engines.
async fn state_of(process: &Server, engine: &str) -> Value {
    let answer = process.http.get(format!("{}/readyz", process.ops)).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["engines"][engine]["state"].clone()
}

/// Waits until every process says this of the engine.
async fn until_all_say(deployment: &Deployment, engine: &str, state: &str) {
    for process in deployment.all() {
        eventually(&format!("its {engine} is called {state}"), async || {
            (state_of(process, engine).await == state).then_some(())
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn without_the_gate_claims_are_told_to_come_back_and_what_was_decided_is_read() {
    let (deployment, gate) = behind_proxy("gate").await;
    let (api, push) = (deployment.api(), deployment.push());
    let mut owed = win(api, "early", 10).await;
    let mut texts = Vec::new();
    for owed in &owed {
        api.result(owed).await;
        texts.push(push.ticket_text(owed).await);
    }

    gate.cut();
    let first = api.claim_one("cups", "late").await;
    assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(first.headers().contains_key("retry-after"), "{first:?}");
    eventually("claims are refused at once", async || {
        let answer = Claim::of("cups", "late").send(api).await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        (answer.body["type"] == "/problems/unavailable").then_some(())
    })
    .await;
    problem(api.claim_one("cups", "late").await, 503, "unavailable").await;
    for (owed, text) in owed.iter().zip(&texts) {
        assert_eq!(push.ticket_text(owed).await, *text, "the ledger answers");
    }
    until_all_say(&deployment, "gate", "failed").await;

    gate.mend();
    until_all_say(&deployment, "gate", "ok").await;
    owed.push(
        eventually("the gate is found again", async || {
            let claim = Claim::of("cups", "late");
            claim.owed(&claim.send(api).await.unwrap())
        })
        .await,
    );
    owed.extend(win(api, "after", 10).await);
    deployment.until_ready().await;
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (21, 21));
    deployment.check_figures("cups").await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn a_gate_that_does_not_answer_costs_no_claim_and_no_second_grant() {
    let (deployment, gate) = behind_proxy("gate").await;
    let api = deployment.api();
    let mut owed = win(api, "early", 5).await;
    gate.hold();
    let claims: Vec<_> = (0..20).map(|n| Claim::of("cups", &format!("held-{n}"))).collect();
    for answer in join_all(claims.iter().map(|claim| claim.send(api))).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        let kind = answer.body["type"].as_str().unwrap();
        assert!(["/problems/not-known", "/problems/unavailable"].contains(&kind), "{answer:?}");
    }
    gate.mend();
    for claim in &claims {
        let found = eventually("the same claim has its ticket", async || {
            claim.owed(&claim.send(api).await.unwrap())
        });
        owed.push(found.await);
    }
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.tickets.len()), (25, 25));
    deployment.check_figures("cups").await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn without_the_log_grants_go_on_and_results_come_when_it_is_back() {
    let (deployment, log) = behind_proxy("log").await;
    let (api, push) = (deployment.api(), deployment.push());
    let mut owed = win(api, "early", 5).await;
    for owed in &owed {
        api.result(owed).await;
    }
    log.cut();
    let waiting = win(api, "during", 50).await;
    until_all_say(&deployment, "log", "failed").await;
    owed.extend(win(api, "later", 50).await);
    assert_pending(push, &waiting).await;
    assert_eq!(api.sale("cups").await["held"], 100);

    log.mend();
    owed.extend(waiting);
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (105, 0));
    until_all_say(&deployment, "log", "ok").await;
    deployment.check_figures("cups").await;
}

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn without_the_ledger_tickets_stay_pending_and_no_attempt_is_counted() {
    let (deployment, ledger) = behind_proxy("ledger").await;
    let (api, push, install) = (deployment.api(), deployment.push(), &deployment.install);
    let mut owed = win(api, "early", 5).await;
    for owed in &owed {
        api.result(owed).await;
    }
    ledger.cut();
    let waiting = win(api, "during", 50).await;
    until_all_say(&deployment, "ledger", "failed").await;
    assert_pending(push, &waiting).await;
    assert_eq!(install.number("SELECT COUNT(*) FROM aside").await, 0, "no attempt is counted");
    assert_eq!(install.number("SELECT COUNT(*) FROM orders").await, 5);

    ledger.mend();
    owed.extend(waiting);
    eventually("the ledger is found again", async || {
        let (status, _) = api.admin(Method::GET, "parked", None).await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    let audit = api.audit("cups", &owed).await;
    assert_eq!((audit.confirmed_units, audit.rejected), (55, 0));
    assert_eq!(install.number("SELECT COUNT(*) FROM aside").await, 0);
    until_all_say(&deployment, "ledger", "ok").await;
    deployment.check_figures("cups").await;
}
