//! What the operator does: sales, stock, winners, orders that were set aside.

use axum::body::Body;
use axum::http::{Method, Request};
use sale::order::OrderV1;
use serde_json::{Value, json};
use store::clock;

use crate::shop::{Answer, Shop, open_sale};

async fn list(shop: &Shop, path: &str) -> Answer {
    shop.admin(Method::GET, path, "", Value::Null).await
}

#[tokio::test]
async fn nothing_is_done_without_the_admin_key() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    for (method, path) in [
        ("GET", "sales"),
        ("POST", "sales"),
        ("GET", "sales/s"),
        ("PATCH", "sales/s"),
        ("GET", "sales/s/tickets"),
        ("GET", "rounds"),
        ("GET", "parked"),
        ("POST", "parked/AAAAAAAAAAAAAAAAAAAAAA/resend"),
        ("POST", "parked/AAAAAAAAAAAAAAAAAAAAAA/reject"),
    ] {
        for key in ["", "Bearer wrong-key-of-the-operator", "Basic the-key-of-the-operator"] {
            let request = Request::builder().method(method).uri(format!("/v1/admin/{path}"));
            let request = request.header("authorization", key).body(Body::empty()).unwrap();
            let answer = shop.send(request).await;
            assert!(answer.is(401, "unauthenticated"), "{method} {path} {answer:?}");
        }
    }
    assert_eq!(shop.report("s").await["closed"], false);
}

#[tokio::test]
async fn a_sale_is_created_once_and_is_in_the_gate_when_the_answer_comes() {
    let shop = Shop::open().await;
    let created = shop.sale("s", 5, 2).await;
    assert_eq!(created.status, 201, "{created:?}");
    let expected = json!({
        "id": "s", "name": "A sale", "round": created.body["round"], "stock": 5, "limit": 2,
        "opens_at": "2020-01-01T00:00:00.000Z", "closes_at": "2100-01-01T00:00:00.000Z",
        "closed": false, "state": "open", "available": 5, "held": 0, "sold": 0, "rejected": 0,
    });
    assert_eq!(created.body, expected);
    assert_eq!(created.header("cache-control"), "no-store");
    assert_eq!(shop.claim("s", &shop.buyer(), "k", json!({"units": 2})).await.status, 202);

    let again = shop.sale("s", 5, 2).await;
    assert_eq!((again.status.as_u16(), &again.body["available"]), (200, &json!(3)));
    assert!(shop.sale("s", 6, 2).await.is(409, "conflict"));
    assert_eq!(shop.report("s").await["stock"], 5);
}

#[tokio::test]
async fn a_sale_out_of_bounds_is_refused_by_the_name_of_its_field() {
    let shop = Shop::open().await;
    for (field, value) in [
        ("id", json!("Not an id")),
        ("id", json!("")),
        ("name", json!("")),
        ("name", json!("two\nlines")),
        ("stock", json!(0)),
        ("stock", json!(2_147_483_648_u32)),
        ("stock", json!(1.5)),
        ("limit", json!(65)),
        ("limit", json!(0)),
        ("opens_at", json!("2030-01-01T10:00:00")),
        ("closes_at", json!("2019-01-01T00:00:00Z")),
        ("closes_at", json!("2020-01-01T00:00:00Z")),
        ("colour", json!("red")),
    ] {
        let mut new = open_sale("s", 5, 1);
        new[field] = value;
        let answer = shop.admin(Method::POST, "sales", "", new.clone()).await;
        assert!(answer.is(400, "invalid-request"), "{new} {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains(field), "{answer:?}");
    }
    assert_eq!(list(&shop, "sales").await.body["sales"], json!([]));
}

#[tokio::test]
async fn a_restock_is_applied_once_a_key() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let up = shop.patch("s", "up", json!({"restock": 3})).await;
    assert_eq!((up.status.as_u16(), &up.body["applied"]), (200, &json!(3)), "{up:?}");
    assert_eq!([&up.body["stock"], &up.body["available"]], [8, 8]);
    let again = shop.patch("s", "up", json!({"restock": 3})).await;
    assert_eq!((again.status.as_u16(), &again.body["applied"]), (200, &json!(3)));
    assert_eq!([&again.body["stock"], &again.body["available"]], [8, 8]);
    assert!(shop.patch("s", "up", json!({"restock": 4})).await.is(409, "conflict"));

    for _ in 0..6 {
        shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    }
    let down = shop.patch("s", "down", json!({"restock": -5})).await;
    assert_eq!(down.body["applied"], -2, "at most what is available: {down:?}");
    assert_eq!([&down.body["stock"], &down.body["available"], &down.body["held"]], [6, 0, 6]);
    let again = shop.patch("s", "down", json!({"restock": -5})).await;
    assert_eq!((&again.body["applied"], &again.body["stock"]), (&json!(-2), &json!(6)));
}

#[tokio::test]
async fn a_restock_reopens_what_was_sold_out() {
    let shop = Shop::open().await;
    shop.sale("s", 1, 1).await;
    shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.is(409, "sold-out"));
    shop.patch("s", "k", json!({"restock": 1})).await;
    assert_eq!(shop.get("/v1/sales/s").await.body["state"], "open");
    assert_eq!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.status, 202);
}

#[tokio::test]
async fn a_restock_needs_its_key_and_its_bounds() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    assert!(shop.patch("s", "", json!({"restock": 1})).await.is(400, "request-id-required"));
    assert!(shop.patch("s", "k", json!({"restock": 0})).await.is(400, "invalid-request"));
    let beyond = shop.patch("s", "k", json!({"restock": 2_147_483_647})).await;
    assert!(beyond.is(409, "conflict"), "{beyond:?}");
    let both = shop.patch("s", "k", json!({"restock": 1, "name": "x"})).await;
    assert!(both.is(400, "invalid-request"), "{both:?}");
    assert!(shop.patch("nowhere", "k", json!({"restock": 1})).await.is(404, "not-found"));
    let report = shop.report("s").await;
    assert_eq!([&report["stock"], &report["available"]], [5, 5]);
}

#[tokio::test]
async fn a_change_of_words_never_touches_stock() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    let named = shop.patch("s", "", json!({"name": "Other words"})).await;
    assert_eq!((named.status.as_u16(), &named.body["name"]), (200, &json!("Other words")));
    assert_eq!([&named.body["stock"], &named.body["available"], &named.body["held"]], [5, 4, 1]);
    assert_eq!(shop.get("/v1/sales/s").await.body["name"], "Other words");
}

#[tokio::test]
async fn the_window_moves_only_while_the_sale_is_upcoming() {
    let shop = Shop::open().await;
    let mut later = open_sale("later", 5, 1);
    later["opens_at"] = json!("2090-01-01T00:00:00Z");
    shop.admin(Method::POST, "sales", "", later).await;
    let empty = shop.patch("later", "", json!({"closes_at": "2080-01-01T00:00:00Z"})).await;
    assert!(empty.is(400, "invalid-request"), "{empty:?}");
    let opened = shop.patch("later", "", json!({"opens_at": "2021-01-01T00:00:00Z"})).await;
    assert_eq!((opened.status.as_u16(), &opened.body["state"]), (200, &json!("open")));
    let claim = shop.claim("later", &shop.buyer(), "", json!({"units": 1})).await;
    assert_eq!(claim.status, 202, "the gate holds the change when the answer comes");
    let late = shop.patch("later", "", json!({"closes_at": "2095-01-01T00:00:00Z"})).await;
    assert!(late.is(409, "conflict"), "{late:?}");
}

#[tokio::test]
async fn a_patch_that_asks_for_nothing_or_for_reopening_is_refused() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    for body in [json!({}), json!({"closed": false}), json!({"stock": 9}), json!({"name": 1})] {
        let answer = shop.patch("s", "", body.clone()).await;
        assert!(answer.is(400, "invalid-request"), "{body} {answer:?}");
    }
    assert!(shop.patch("nowhere", "", json!({"closed": true})).await.is(404, "not-found"));
}

#[tokio::test]
async fn sales_are_listed_with_their_counts() {
    let shop = Shop::open().await;
    for id in ["a", "b", "c"] {
        shop.sale(id, 5, 1).await;
    }
    shop.claim("b", &shop.buyer(), "", json!({"units": 1})).await;
    shop.decide().await;
    let all = list(&shop, "sales").await.body;
    let counts: Vec<_> = all["sales"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sale| {
            (sale["id"].as_str().unwrap(), sale["available"].as_i64().unwrap(), &sale["sold"])
        })
        .collect();
    assert_eq!(counts, [("c", 5, &json!(0)), ("b", 4, &json!(1)), ("a", 5, &json!(0))]);
    let some = list(&shop, "sales?limit=2").await.body;
    assert_eq!(some["sales"].as_array().unwrap().len(), 2);
    for bad in ["sales?limit=0", "sales?limit=1001", "sales?limit=x", "sales?page=1"] {
        assert!(list(&shop, bad).await.is(400, "invalid-request"), "{bad}");
    }
}

#[tokio::test]
async fn the_winners_are_listed_with_their_buyers_page_by_page() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let mut buyers = Vec::new();
    for _ in 0..3 {
        let claim = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
        let order = shop.tokens.open(claim.body["token"].as_str().unwrap()).unwrap();
        buyers.push((order.ticket, order.buyer.as_str().to_owned()));
        shop.decide().await;
    }
    buyers.sort();
    let mut found = Vec::new();
    let mut path = "sales/s/tickets?status=confirmed&limit=2".to_owned();
    loop {
        let page = list(&shop, &path).await.body;
        for entry in page["tickets"].as_array().unwrap() {
            assert_eq!(entry["ticket"]["status"], "confirmed");
            assert_eq!(entry["ticket"]["sale"], "s");
            found.push((entry["ticket"]["id"].clone(), entry["buyer"].clone()));
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("sales/s/tickets?status=confirmed&limit=2&after={next}");
    }
    let expected: Vec<_> =
        buyers.iter().map(|(ticket, buyer)| (json!(ticket), json!(buyer))).collect();
    assert_eq!(found, expected);
    let rejected = list(&shop, "sales/s/tickets?status=rejected").await.body;
    assert_eq!(rejected, json!({"tickets": [], "next": null}));
    for bad in ["status=sold", "after=x", "limit=-1", "limit=1&limit=2"] {
        let answer = list(&shop, &format!("sales/s/tickets?{bad}")).await;
        assert!(answer.is(400, "invalid-request"), "{bad} {answer:?}");
    }
    assert!(list(&shop, "sales/nowhere/tickets").await.is(404, "not-found"));
}

#[tokio::test]
async fn orders_that_were_set_aside_are_listed_sent_again_or_rejected() {
    let shop = Shop::open().await;
    for id in ["before", "s", "after"] {
        shop.sale(id, 5, 1).await;
        shop.claim(id, &shop.buyer(), "", json!({"units": 1})).await;
        let failed: Vec<(OrderV1, String)> =
            shop.orders().await.into_iter().map(|order| (order, "it broke".into())).collect();
        shop.seams.ledger.set_aside(&failed, clock::now()).await.unwrap();
    }
    let parked = list(&shop, "parked").await.body;
    let sales: Vec<_> = parked["parked"].as_array().unwrap().iter().map(|it| &it["sale"]).collect();
    assert_eq!(sales, ["before", "s", "after"]);
    let one = &list(&shop, "parked?limit=1").await.body;
    assert_eq!(one["next"], parked["parked"][0]["ticket"]);
    let entry = &parked["parked"][1];
    assert_eq!((&entry["error"], &entry["reject"]), (&json!("it broke"), &json!(false)));

    let pending = list(&shop, "sales/s/tickets?status=pending").await.body;
    assert_eq!(pending["tickets"].as_array().unwrap().len(), 1, "those of this sale alone");
    assert_eq!(pending["tickets"][0]["ticket"]["id"], entry["ticket"]);
    assert_eq!(pending["tickets"][0]["ticket"]["status"], "pending");
    assert_eq!(pending["tickets"][0]["buyer"], entry["buyer"]);

    let ticket = entry["ticket"].as_str().unwrap();
    for (what, reject) in [("resend", false), ("reject", true)] {
        let path = format!("parked/{ticket}/{what}");
        let answer = shop.admin(Method::POST, &path, "", Value::Null).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(list(&shop, "parked").await.body["parked"][1]["reject"], reject);
    }
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "x"] {
        let path = format!("parked/{unknown}/resend");
        assert!(shop.admin(Method::POST, &path, "", Value::Null).await.is(404, "not-found"));
    }
}
