//! `GET /v1/sales`, `GET /v1/sales/{sale}` and `GET /v1/now`: what everybody may see.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::ask::{is_time, problem, time};
use crate::harness::claimer::Claim;
use crate::harness::{Server, eventually};
use crate::ledger::Lock;

#[tokio::test]
async fn a_sale_is_shown_with_the_present_time_and_may_be_cached_for_a_second() {
    let server = Server::start(&[]).await;
    server.create("cups", json!({ "name": "Espresso <cups> \u{2615}", "limit": 3 })).await;
    let answer = server.get("/v1/sales/cups").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "public, max-age=1");
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    let sale: Value = serde_json::from_str(&text).unwrap();
    let round = &server.sale("cups").await["round"];
    assert_eq!(
        text,
        format!(
            r#"{{"id":"cups","name":"Espresso <cups> ☕","round":{round},"opens_at":"2020-01-01T00:00:00.000Z","closes_at":"2100-01-01T00:00:00.000Z","state":"open","limit":3,"now":{}}}"#,
            sale["now"]
        )
    );
    assert!(is_time(&sale["now"]), "{sale}");
}

#[tokio::test]
async fn the_list_has_every_sale_the_newest_first_and_the_time_also_when_there_is_none() {
    let server = Server::start(&[]).await;
    let list = async || {
        let answer = server.get("/v1/sales").await;
        assert_eq!(answer.headers()["cache-control"], "public, max-age=1");
        answer.json::<Value>().await.unwrap()
    };
    let empty = list().await;
    assert_eq!(empty["sales"], json!([]));
    assert!(is_time(&empty["now"]), "{empty}");
    for id in ["first", "second", "third"] {
        server.open_sale(id, 5, 1).await;
    }
    let full = list().await;
    let ids: Vec<_> = full["sales"].as_array().unwrap().iter().map(|sale| &sale["id"]).collect();
    assert_eq!(ids, ["third", "second", "first"]);
    let mut one: Value = server.get("/v1/sales/second").await.json().await.unwrap();
    one["now"] = full["sales"][1]["now"].clone();
    assert_eq!(one, full["sales"][1]);
}

#[tokio::test]
async fn a_sale_is_upcoming_then_open_then_sold_out_then_closed() {
    let server = Server::start(&[]).await;
    let state = async |sale: &str| {
        let sale: Value = server.get(&format!("/v1/sales/{sale}")).await.json().await.unwrap();
        sale["state"].as_str().unwrap().to_owned()
    };
    let until = async |wanted: &str| {
        eventually(wanted, async || (state("cups").await == wanted).then_some(())).await;
    };
    server.create("later", json!({ "opens_at": "2099-01-01T00:00:00Z" })).await;
    assert_eq!(state("later").await, "upcoming");
    server.create("cups", json!({ "stock": 1, "opens_at": time(2) })).await;
    until("open").await;
    let owed = Claim::of("cups", "ada").win(&server).await;
    until("sold_out").await;
    server.patch("cups", Some("more"), json!({ "restock": 1 })).await;
    assert_eq!(state("cups").await, "open", "a change is seen at once");
    server.patch("cups", None, json!({ "closed": true })).await;
    assert_eq!(state("cups").await, "closed");
    server.create("over", json!({ "closes_at": "2021-01-01T00:00:00Z" })).await;
    assert_eq!(state("over").await, "closed");
    server.audit("cups", &[owed]).await;
}

#[tokio::test]
async fn an_unknown_sale_is_not_found() {
    let server = Server::start(&[]).await;
    for name in ["nothing", "UPPER", &"x".repeat(65), "%ff"] {
        problem(server.get(&format!("/v1/sales/{name}")).await, 404, "not-found").await;
    }
}

#[tokio::test]
async fn the_time_is_told_in_milliseconds_and_never_cached_also_without_the_stores() {
    let server = Server::start(&[]).await;
    let (ledger, gate) = (Lock::ledger(&server).await, Lock::gate(&server).await);
    let before = store::clock::now().millis();
    let answer = server.get("/v1/now").await;
    let after = store::clock::now().millis();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let text = answer.text().await.unwrap();
    let now = serde_json::from_str::<Value>(&text).unwrap()["now"].as_i64().unwrap();
    assert_eq!(text, format!(r#"{{"now":{now}}}"#));
    assert!((before..=after).contains(&now), "{before} {now} {after}");
    gate.release().await;
    ledger.release().await;
}
