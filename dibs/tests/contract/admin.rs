//! `/v1/admin/sales`: who may, what creates a sale, and how it is read.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::ask::{problem, sale};
use crate::harness::Server;
use crate::harness::claimer::{Claim, jwt};

#[tokio::test]
async fn every_admin_call_needs_the_admin_key() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let ticket = "AAAAAAAAAAAAAAAAAAAAAA";
    for (method, path) in [
        (Method::GET, "sales".to_owned()),
        (Method::POST, "sales".to_owned()),
        (Method::GET, "sales/cups".to_owned()),
        (Method::GET, "sales/nothing".to_owned()),
        (Method::PATCH, "sales/cups".to_owned()),
        (Method::GET, "sales/cups/tickets".to_owned()),
        (Method::GET, "parked".to_owned()),
        (Method::POST, format!("parked/{ticket}/resend")),
        (Method::POST, format!("parked/{ticket}/reject")),
    ] {
        let call = || {
            let call = server.call(method.clone(), &format!("/v1/admin/{path}"));
            call.json(&json!({ "closed": true }))
        };
        problem(call().send().await.unwrap(), 401, "unauthenticated").await;
        for wrong in ["the-admin-key-of-test", "the-admin-key-of-testsX", "x", &jwt("ada")] {
            let answer = call().bearer_auth(wrong).send().await.unwrap();
            problem(answer, 401, "unauthenticated").await;
        }
    }
    assert_eq!(server.sale("cups").await["closed"], false);
}

#[tokio::test]
async fn a_sale_is_created_once_and_answered_when_the_gate_grants_it() {
    let server = Server::start(&[]).await;
    let answer = server.create("cups", json!({ "stock": 7, "limit": 2 })).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let text = answer.text().await.unwrap();
    let created: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"id":"cups","name":"Sale cups","round":{},"stock":7,"limit":2,"opens_at":"2020-01-01T00:00:00.000Z","closes_at":"2100-01-01T00:00:00.000Z","closed":false,"state":"open","available":7,"held":0,"sold":0,"rejected":0}}"#,
            created["round"]
        )
    );
    assert!(created["round"].as_str().is_some_and(|round| round.parse::<u32>().is_ok()));

    let again = server.create("cups", json!({ "stock": 7, "limit": 2 })).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.text().await.unwrap(), text);
    // The same sale in other words: another zone, finer fractions.
    let same = json!({
        "stock": 7, "limit": 2,
        "opens_at": "2020-01-01T02:00:00.000999+02:00", "closes_at": "2099-12-31T19:00:00-05:00",
    });
    assert_eq!(server.create("cups", same).await.status(), StatusCode::OK);
    for other in [json!({}), json!({ "stock": 7, "limit": 2, "name": "Other" })] {
        problem(server.create("cups", other).await, 409, "conflict").await;
    }
    // No claim comes too early for a sale that was answered.
    for n in 0..20 {
        let id = format!("sale-{n}");
        server.open_sale(&id, 1, 1).await;
        assert_eq!(server.claim_one(&id, "ada").await.status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn the_same_creation_stays_the_same_when_the_sale_has_changed_since() {
    let server = Server::start(&[]).await;
    server.create("cups", json!({})).await;
    server.patch("cups", Some("more"), json!({ "restock": 5 })).await;
    server.patch("cups", None, json!({ "name": "Better name" })).await;
    let again = server.create("cups", json!({})).await;
    assert_eq!(again.status(), StatusCode::OK);
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["stock"], &again["name"]), (&json!(15), &json!("Better name")));
}

#[tokio::test]
async fn what_no_sale_can_be_is_refused_by_field() {
    let server = Server::start(&[]).await;
    let faults = [
        ("id", json!("UPPER")),
        ("id", json!("")),
        ("id", json!("x".repeat(65))),
        ("id", json!(1)),
        ("name", json!("")),
        ("name", json!("x".repeat(201))),
        ("name", json!("a\nb")),
        ("stock", json!(0)),
        ("stock", json!(-1)),
        ("stock", json!(1.5)),
        ("stock", json!(2_147_483_648_u32)),
        ("limit", json!(0)),
        ("limit", json!(65)),
        ("opens_at", json!("2030-01-01T00:00:00")),
        ("opens_at", json!("tomorrow")),
        ("opens_at", json!(1_700_000_000)),
        ("closes_at", json!("2019-01-01T00:00:00Z")),
        ("closes_at", json!("2020-01-01T00:00:00Z")),
        ("colour", json!("red")),
    ];
    for (field, value) in faults {
        let mut body = sale("cups", json!({}));
        body[field] = value;
        let answer = server.operator(Method::POST, "sales").json(&body).send().await.unwrap();
        let document = problem(answer, 400, "invalid-request").await;
        assert!(document["detail"].as_str().unwrap().contains(field), "{body} {document}");
    }
    for field in ["id", "name", "stock", "limit", "opens_at", "closes_at"] {
        let mut body = sale("cups", json!({}));
        body.as_object_mut().unwrap().remove(field);
        let answer = server.operator(Method::POST, "sales").json(&body).send().await.unwrap();
        let document = problem(answer, 400, "invalid-request").await;
        assert!(document["detail"].as_str().unwrap().contains(field), "{document}");
    }
    let listed: Value =
        server.operator(Method::GET, "sales").send().await.unwrap().json().await.unwrap();
    assert_eq!(listed, json!({ "sales": [] }));
    // The bounds themselves are right.
    let most = json!({
        "name": "é".repeat(200), "stock": i32::MAX, "limit": 64,
    });
    assert_eq!(server.create(&"x".repeat(64), most).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_sale_is_read_with_its_counts_alone_and_in_the_list() {
    let server = Server::start(&[]).await;
    server.create("cups", json!({ "stock": 5, "limit": 3 })).await;
    server.open_sale("mugs", 1, 1).await;
    let owed = Claim::of("cups", "ada").under("1").units(3).win(&server).await;
    server.result(&owed).await;
    server.audit("cups", &[owed]).await;
    let one = server.sale("cups").await;
    let counts = ["stock", "available", "held", "sold", "rejected"].map(|key| &one[key]);
    assert_eq!(counts, [&json!(5), &json!(2), &json!(0), &json!(3), &json!(0)]);
    let listed = server.operator(Method::GET, "sales").send().await.unwrap();
    assert_eq!(listed.headers()["cache-control"], "no-store");
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["sales"][0]["id"], "mugs");
    assert_eq!(listed["sales"][1], one);
    let newest = server.operator(Method::GET, "sales?limit=1").send().await.unwrap();
    let newest: Value = newest.json().await.unwrap();
    assert_eq!(newest["sales"].as_array().unwrap().len(), 1);
    for path in ["sales/nothing", "sales/UPPER", "sales/nothing/tickets"] {
        let answer = server.operator(Method::GET, path).send().await.unwrap();
        problem(answer, 404, "not-found").await;
    }
}
