//! `POST /v1/sales/{sale}/tickets` that is refused, each reason with a type of its own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::{is_time, problem, time};
use crate::harness::claimer::{Claim, jwt};
use crate::harness::{Server, eventually};
use crate::ledger::on_ledger;

#[tokio::test]
async fn before_it_opens_a_claim_is_told_when_and_what_the_time_is() {
    let server = Server::start(&[]).await;
    server.create("cups", json!({ "opens_at": "2099-01-01T00:00:00Z" })).await;
    let document = problem(server.claim_one("cups", "ada").await, 409, "not-open").await;
    assert_eq!(document["opens_at"], "2099-01-01T00:00:00.000Z");
    assert!(is_time(&document["now"]), "{document}");
    assert_eq!(server.sale("cups").await["available"], 10);
}

#[tokio::test]
async fn after_it_closed_a_claim_is_told_so_by_the_window_or_by_hand() {
    let server = Server::start(&[]).await;
    server.create("over", json!({ "closes_at": "2021-01-01T00:00:00Z" })).await;
    problem(server.claim_one("over", "ada").await, 409, "closed").await;
    server.open_sale("stopped", 5, 1).await;
    server.patch("stopped", None, json!({ "closed": true })).await;
    problem(server.claim_one("stopped", "ada").await, 409, "closed").await;
    // In the very middle of the crowd.
    server.create("short", json!({ "closes_at": time(2), "stock": 1000 })).await;
    let mut buyers = 0;
    eventually("the window ends", async || {
        buyers += 1;
        let answer = server.claim_one("short", &format!("buyer-{buyers}")).await;
        if answer.status() == StatusCode::ACCEPTED {
            return None;
        }
        Some(problem(answer, 409, "closed").await)
    })
    .await;
    server.audit("short", &[]).await;
}

#[tokio::test]
async fn sold_out_is_said_at_zero_and_fewer_left_than_asked_with_their_number() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 3, 3).await;
    let ada = Claim::of("cups", "ada").under("1").units(2).win(&server).await;
    let asks_two = server.claim("cups", "bob").header("idempotency-key", "1");
    let answer = asks_two.json(&json!({ "units": 2 })).send().await.unwrap();
    let document = problem(answer, 409, "too-few-left").await;
    assert_eq!(document["left"], 1);
    let bob = Claim::of("cups", "bob").under("1").win(&server).await;
    let asks_one = server.claim("cups", "eve").header("idempotency-key", "1");
    let answer = asks_one.json(&json!({ "units": 1 })).send().await.unwrap();
    let document = problem(answer, 409, "sold-out").await;
    assert_eq!(document["left"], Value::Null);
    assert_eq!(server.audit("cups", &[ada, bob]).await.confirmed_units, 3);
}

#[tokio::test]
async fn a_buyer_at_the_limit_is_shown_what_he_holds_and_each_of_it_opens() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 9, 3).await;
    let one = Claim::of("cups", "ada").under("1").win(&server).await;
    let two = Claim::of("cups", "ada").under("2").units(2).win(&server).await;
    for owed in [&one, &two] {
        server.result(owed).await;
    }
    let call = server.claim("cups", "ada").header("idempotency-key", "3");
    let answer = call.json(&json!({ "units": 1 })).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    let text = answer.text().await.unwrap();
    assert!(text.starts_with(r#"{"type":"/problems/limit-reached","#), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["held"].as_array().unwrap().len(), 2, "{document}");
    for owed in [&one, &two] {
        // The ticket in the bytes of every other path, and the token that opens it.
        let shown = server.ticket_text(owed).await;
        let held = format!(r#"{{"ticket":{shown},"token":"{}"}}"#, owed.token);
        assert!(text.contains(&held), "{held} {text}");
    }
    // The limit counts units: one more would fit, two do not.
    server.open_sale("mugs", 9, 2).await;
    Claim::of("mugs", "ada").under("1").win(&server).await;
    let over = Claim::of("mugs", "ada").under("2").units(2).send(&server).await.unwrap();
    assert_eq!(over.body["type"], "/problems/limit-reached");
    Claim::of("mugs", "ada").under("3").win(&server).await;
    server.audit("cups", &[one, two]).await;
}

#[tokio::test]
async fn an_unknown_sale_is_not_found_also_by_a_name_that_none_can_have() {
    let server = Server::start(&[]).await;
    for name in ["nothing", "UPPER", &"x".repeat(65), "a%2Fb", "caf%C3%A9", "%ff"] {
        problem(server.claim_one(name, "ada").await, 404, "not-found").await;
    }
}

#[tokio::test]
async fn without_a_good_jwt_nothing_else_is_told() {
    let server = Server::start(&[]).await;
    let path = "/v1/sales/nothing/tickets";
    let call = server.call(Method::POST, path).json(&json!({ "units": 0 }));
    problem(call.send().await.unwrap(), 401, "unauthenticated").await;
}

#[tokio::test]
async fn a_round_that_the_gate_has_not_loaded_is_recovering_and_never_sold_out() {
    let server = Server::start(&[("tend_every", "1m")]).await;
    server.open_sale("cups", 5, 1).await;
    // Another sale, which only the ledger knows.
    let copy = "INSERT INTO sales SELECT 'mugs', name, requested FROM sales; \
                INSERT INTO rounds SELECT round + 1, 'mugs', salt, stock, available, rejected, \
                per_buyer, opens_at, closes_at, closed, terms_version, incarnation, \
                answer_within, retired, 0, 0, 0, NULL, 0 FROM rounds";
    on_ledger(&server, copy).await;
    let refused = eventually("the sale is known", async || {
        let answer = server.claim_one("mugs", "ada").await;
        (answer.status() != StatusCode::NOT_FOUND).then_some(answer)
    })
    .await;
    let document = problem(refused, 503, "recovering").await;
    assert_eq!(document.as_object().unwrap().len(), 4, "{document}");
    let shown: Value = server.get("/v1/sales/mugs").await.json().await.unwrap();
    assert_eq!(shown["state"], "open", "nobody has said that it is sold out");
    let seen = server.sale("mugs").await;
    assert_eq!((&seen["available"], &seen["held"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_refused_with_those_it_knows() {
    let server = Server::start(&[]).await;
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/sales/cups", "GET"),
        (Method::GET, "/v1/sales/cups/tickets", "POST"),
        (Method::POST, "/v1/tickets/x", "GET"),
        (Method::PUT, "/v1/now", "GET"),
    ] {
        let call = server.call(method, path).bearer_auth(jwt("ada"));
        let answer = call.send().await.unwrap();
        let allow = answer.headers()["allow"].to_str().unwrap().to_owned();
        assert!(allow.contains(allowed), "{path}: {allow}");
        problem(answer, 405, "invalid-request").await;
    }
    problem(server.get("/v1/nowhere").await, 404, "not-found").await;
}
