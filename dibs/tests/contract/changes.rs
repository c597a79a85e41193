//! `PATCH /v1/admin/sales/{sale}`: stock, words, window, end; answered when the gate has it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::problem;
use crate::harness::Server;
use crate::harness::claimer::Claim;

async fn changed(server: &Server, key: Option<&str>, change: Value) -> Value {
    let answer = server.patch("cups", key, change).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

#[tokio::test]
async fn a_restock_is_applied_once_a_key_and_holds_for_the_very_next_claim() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 1, 1).await;
    let mut owed = vec![Claim::of("cups", "ada").win(&server).await];
    problem(server.claim_one("cups", "bob").await, 409, "sold-out").await;
    let more = changed(&server, Some("monday"), json!({ "restock": 2 })).await;
    assert_eq!((&more["applied"], &more["stock"]), (&json!(2), &json!(3)));
    let shown = server.sale("cups").await;
    for key in shown.as_object().unwrap().keys().filter(|key| *key != "held" && *key != "sold") {
        assert_eq!(more[key], shown[key], "{key}");
    }
    for _ in 0..3 {
        let again = changed(&server, Some("monday"), json!({ "restock": 2 })).await;
        assert_eq!((&again["applied"], &again["stock"]), (&json!(2), &json!(3)));
    }
    for buyer in ["bob", "eve"] {
        owed.push(Claim::of("cups", buyer).win(&server).await);
    }
    problem(server.claim_one("cups", "joe").await, 409, "sold-out").await;
    let other = server.patch("cups", Some("monday"), json!({ "restock": 3 })).await;
    problem(other, 409, "conflict").await;
    let tuesday = changed(&server, Some("tuesday"), json!({ "restock": 1 })).await;
    assert_eq!(tuesday["stock"], 4);
    owed.push(Claim::of("cups", "joe").win(&server).await);
    assert_eq!(server.audit("cups", &owed).await.confirmed_units, 4);
}

#[tokio::test]
async fn stock_is_taken_back_at_most_as_far_as_it_is_available() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let less = changed(&server, Some("a"), json!({ "restock": -2 })).await;
    assert_eq!((&less["applied"], &less["stock"]), (&json!(-2), &json!(3)));
    let rest = changed(&server, Some("b"), json!({ "restock": -100 })).await;
    assert_eq!((&rest["applied"], &rest["stock"]), (&json!(-2), &json!(1)));
    let again = changed(&server, Some("b"), json!({ "restock": -100 })).await;
    assert_eq!(again["applied"], -2);
    problem(server.claim_one("cups", "bob").await, 409, "sold-out").await;
    let sale = server.sale("cups").await;
    assert_eq!((&sale["stock"], &sale["available"]), (&json!(1), &json!(0)));
    server.audit("cups", &[owed]).await;
}

#[tokio::test]
async fn a_restock_needs_a_key_and_its_bounds_are_kept() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    for key in [None, Some("")] {
        let answer = server.patch("cups", key, json!({ "restock": 1 })).await;
        problem(answer, 400, "request-id-required").await;
    }
    for bad in [json!(0), json!(1.5), json!("1"), json!(2_147_483_648_i64), json!(i32::MIN)] {
        let answer = server.patch("cups", Some("k"), json!({ "restock": bad })).await;
        let document = problem(answer, 400, "invalid-request").await;
        assert!(document["detail"].as_str().unwrap().contains("restock"), "{document}");
    }
    let beyond = server.patch("cups", Some("k"), json!({ "restock": i32::MAX })).await;
    problem(beyond, 409, "conflict").await;
    assert_eq!(server.sale("cups").await["stock"], 5);
}

#[tokio::test]
async fn words_never_touch_stock_or_window() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    server.audit("cups", &[owed]).await;
    let mut before = server.sale("cups").await;
    let after = changed(&server, None, json!({ "name": "Finer cups" })).await;
    before["name"] = json!("Finer cups");
    assert_eq!(after, before);
    let public: Value = server.get("/v1/sales/cups").await.json().await.unwrap();
    assert_eq!(public["name"], "Finer cups");
}

#[tokio::test]
async fn a_sale_is_closed_for_good_and_for_the_very_next_claim() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    let closed = changed(&server, None, json!({ "closed": true })).await;
    assert_eq!((&closed["closed"], &closed["state"]), (&json!(true), &json!("closed")));
    problem(server.claim_one("cups", "bob").await, 409, "closed").await;
    assert_eq!(changed(&server, None, json!({ "closed": true })).await["closed"], true);
    let reopened = server.patch("cups", None, json!({ "closed": false })).await;
    let document = problem(reopened, 400, "invalid-request").await;
    assert!(document["detail"].as_str().unwrap().contains("closed"), "{document}");
    assert_eq!(server.audit("cups", &[owed]).await.confirmed_units, 1);
}

#[tokio::test]
async fn the_window_can_be_moved_while_the_sale_is_upcoming() {
    let server = Server::start(&[]).await;
    server.create("cups", json!({ "opens_at": "2098-01-01T00:00:00Z" })).await;
    let moved = changed(&server, None, json!({ "opens_at": "2099-01-01T01:00:00+01:00" })).await;
    assert_eq!(moved["opens_at"], "2099-01-01T00:00:00.000Z");
    assert_eq!(moved["closes_at"], "2100-01-01T00:00:00.000Z");
    let document = problem(server.claim_one("cups", "ada").await, 409, "not-open").await;
    assert_eq!(document["opens_at"], "2099-01-01T00:00:00.000Z");
    for empty in [
        json!({ "closes_at": "2098-01-01T00:00:00Z" }),
        json!({ "opens_at": "2100-01-01T00:00:00Z" }),
    ] {
        let answer = server.patch("cups", None, empty).await;
        let document = problem(answer, 400, "invalid-request").await;
        assert!(document["detail"].as_str().unwrap().contains("closes_at"), "{document}");
    }
    let both = json!({ "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-06-01T00:00:00Z" });
    assert_eq!(changed(&server, None, both).await["state"], "open");
    assert_eq!(server.claim_one("cups", "ada").await.status(), StatusCode::ACCEPTED);
    let late = server.patch("cups", None, json!({ "closes_at": "2099-07-01T00:00:00Z" })).await;
    problem(late, 409, "conflict").await;
    server.audit("cups", &[]).await;
}

#[tokio::test]
async fn a_change_is_of_one_kind_and_nothing_is_half_done() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let before = server.sale("cups").await;
    for bad in [
        json!({}),
        json!({ "restock": 1, "name": "X" }),
        json!({ "restock": 1, "closed": true }),
        json!({ "name": "X", "closed": true }),
        json!({ "name": "X", "closes_at": "2050-01-01T00:00:00Z" }),
        json!({ "closed": true, "opens_at": "2050-01-01T00:00:00Z" }),
        json!({ "stock": 7 }),
        json!({ "limit": 2 }),
        json!({ "id": "mugs" }),
        json!({ "name": "" }),
        json!({ "closed": "yes" }),
        json!([]),
    ] {
        problem(server.patch("cups", Some("k"), bad).await, 400, "invalid-request").await;
    }
    assert_eq!(server.sale("cups").await, before);
    for change in [json!({ "name": "X" }), json!({ "restock": 1 }), json!({ "closed": true })] {
        let call = server.operator(Method::PATCH, "sales/nothing").header("idempotency-key", "k");
        problem(call.json(&change).send().await.unwrap(), 404, "not-found").await;
    }
}
