//! What a claim that is not granted is answered: each reason has its own type.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use sale::id::SaleId;
use sale::terms::{NewSale, SaleName, Stock, Window};
use sale::time::Timestamp;
use sale::units::Units;
use serde_json::json;
use store::ledger::Creation;
use tokio::task::JoinSet;

use crate::shop::{Layout, Shop, claim, open_sale};

#[tokio::test]
async fn no_body_but_a_sound_one_moves_the_stock() {
    let shop = Shop::open().await;
    shop.sale("s", 50, 2).await;
    let buyer = shop.buyer();
    for body in [
        r#"{"units":100}"#,
        r#"{"units":3}"#,
        r#"{"units":0}"#,
        r#"{"units":-1}"#,
        r#"{"units":1.5}"#,
        r#"{"units":"1e3"}"#,
        r#"{"units":"1"}"#,
        r#"{"units":2147483648}"#,
        r#"{"units":9223372036854775808}"#,
        r#"{"units":null}"#,
        r#"{"units":1,"units":1}"#,
        r#"{}"#,
    ] {
        let answer = shop.send(claim("s", &buyer, "k", body)).await;
        assert!(answer.is(400, "invalid-request"), "{body} {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("units"), "{body} {answer:?}");
    }
    for body in [r#"{"units":1,"colour":"red"}"#, r#"{"units":1"#, "[1]", "", r#"{"units":1}{}"#] {
        let answer = shop.send(claim("s", &buyer, "k", body)).await;
        assert!(answer.is(400, "invalid-request"), "{body} {answer:?}");
    }
    let large = format!(r#"{{"units":1,"colour":"{}"}}"#, "x".repeat(4096));
    assert!(shop.send(claim("s", &buyer, "k", large)).await.is(413, "payload-too-large"));
    let mut form = claim("s", &buyer, "k", r#"{"units":1}"#);
    form.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert!(shop.send(form).await.is(400, "invalid-request"));
    assert_eq!(shop.report("s").await["available"], 50);
}

#[tokio::test]
async fn a_claim_without_a_jwt_that_holds_is_refused_before_the_sale_is_looked_for() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    for sale in ["s", "nowhere", "NO-SALE-CAN-BE-NAMED-SO"] {
        for jwt in ["", "rubbish", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ."] {
            let answer = shop.claim(sale, jwt, "", json!({"units": 1})).await;
            assert!(answer.is(401, "unauthenticated"), "{sale} {jwt} {answer:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let mut anonymous = claim("s", "x", "", r#"{"units":1}"#);
    anonymous.headers_mut().remove("authorization");
    assert!(shop.send(anonymous).await.is(401, "unauthenticated"));
}

#[tokio::test]
async fn a_sale_that_is_not_there_is_not_found() {
    let shop = Shop::open().await;
    for sale in ["nowhere", "No-Such-Sale", "%20", "%ff"] {
        let answer = shop.claim(sale, &shop.buyer(), "", json!({"units": 1})).await;
        assert!(answer.is(404, "not-found"), "{sale} {answer:?}");
    }
}

#[tokio::test]
async fn with_a_higher_limit_a_claim_needs_its_key() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 2).await;
    let answer = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(answer.is(400, "request-id-required"), "{answer:?}");
    for bad in ["with space", &"x".repeat(129)] {
        let answer = shop.claim("s", &shop.buyer(), bad, json!({"units": 1})).await;
        assert!(answer.is(400, "invalid-request"), "{answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("Idempotency-Key"));
    }
    let mut twice = claim("s", &shop.buyer(), "a", r#"{"units":1}"#);
    twice.headers_mut().append("idempotency-key", "b".parse().unwrap());
    assert!(shop.send(twice).await.is(400, "invalid-request"));
}

#[tokio::test]
async fn the_same_key_with_other_units_is_an_error_of_its_own() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 3).await;
    let buyer = shop.buyer();
    assert_eq!(shop.claim("s", &buyer, "k", json!({"units": 1})).await.status, 202);
    assert!(shop.claim("s", &buyer, "k", json!({"units": 2})).await.is(422, "units-differ"));
    assert_eq!(shop.report("s").await["held"], 1);
}

#[tokio::test]
async fn a_buyer_at_the_limit_is_told_what_he_holds() {
    let shop = Shop::open().await;
    shop.sale("s", 9, 2).await;
    let buyer = shop.buyer();
    let first = shop.claim("s", &buyer, "a", json!({"units": 1})).await;
    let second = shop.claim("s", &buyer, "b", json!({"units": 1})).await;
    let third = shop.claim("s", &buyer, "c", json!({"units": 1})).await;
    assert!(third.is(409, "limit-reached"), "{third:?}");
    let held = third.body["held"].as_array().unwrap();
    assert_eq!(held.len(), 2);
    for (held, answer) in held.iter().zip([&first, &second]) {
        assert_eq!(held["ticket"], answer.body["ticket"]);
        assert_eq!(held["token"], answer.body["token"]);
        let order = shop.tokens.open(held["token"].as_str().unwrap()).unwrap();
        assert_eq!(order.ticket.to_string(), held["ticket"]["id"]);
    }
}

#[tokio::test]
async fn fewer_left_than_asked_for_is_told_with_how_many() {
    let shop = Shop::open().await;
    shop.sale("s", 3, 5).await;
    let few = shop.claim("s", &shop.buyer(), "k", json!({"units": 5})).await;
    assert!(few.is(409, "too-few-left"), "{few:?}");
    assert_eq!(few.body["left"], 3);
    assert_eq!(shop.claim("s", &shop.buyer(), "k", json!({"units": 3})).await.status, 202);
    assert!(shop.claim("s", &shop.buyer(), "k", json!({"units": 1})).await.is(409, "sold-out"));
}

#[tokio::test]
async fn before_the_sale_opens_its_opening_is_told_by_the_gates_clock() {
    let shop = Shop::open().await;
    let mut later = open_sale("s", 5, 1);
    later["opens_at"] = json!("2090-01-01T10:00:00+01:00");
    shop.admin(Method::POST, "sales", "", later).await;
    let early = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(early.is(409, "not-open"), "{early:?}");
    assert_eq!(early.body["opens_at"], "2090-01-01T09:00:00.000Z");
    assert!(Timestamp::parse(early.body["now"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn a_sale_that_was_closed_by_hand_takes_no_claims_but_retries() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let buyer = shop.buyer();
    shop.claim("s", &buyer, "", json!({"units": 1})).await;
    assert_eq!(shop.patch("s", "", json!({"closed": true})).await.status, 200);
    assert!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.is(409, "closed"));
    assert_eq!(shop.claim("s", &buyer, "", json!({"units": 1})).await.status, 200);
}

#[tokio::test]
async fn a_round_that_is_not_loaded_is_recovering_and_never_sold_out() {
    let shop = Shop::open().await;
    let at = |text| Timestamp::parse(text).unwrap();
    let new = NewSale {
        id: SaleId::new("cold").unwrap(),
        name: SaleName::new("Not in the gate".into()).unwrap(),
        stock: Stock::new(5).unwrap(),
        limit: Units::ONE,
        window: Window::new(at("2020-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")).unwrap(),
        answer_within: Duration::from_secs(300),
    };
    assert!(matches!(shop.seams.ledger.create(&new).await, Ok(Creation::Created(_))));
    let answer = shop.claim("cold", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(answer.is(503, "recovering"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(shop.get("/v1/sales/cold").await.body["state"], "open");
    let report = shop.report("cold").await;
    assert!(report["available"].is_null() && report["held"].is_null(), "{report}");
    assert_eq!((&report["stock"], &report["sold"]), (&json!(5), &json!(0)));
}

#[tokio::test]
async fn at_the_bound_of_the_queue_claims_are_busy_at_once() {
    let mut layout = Layout::default();
    layout.settings.claims_queued = 3;
    let shop = Shop::laid_out(layout).await;
    shop.sale("s", 50, 1).await;
    // On this one thread all ten have queued before the lane takes the first.
    let mut crowd = JoinSet::new();
    for _ in 0..10 {
        crowd.spawn(shop.claiming("s", &shop.buyer(), "", json!({"units": 1})));
    }
    let answers = crowd.join_all().await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.is(503, "busy")).collect();
    assert_eq!(busy.len(), 7);
    assert!(busy.iter().all(|answer| answer.header("retry-after") == "1"));
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 3);
    assert_eq!(shop.report("s").await["held"], 3);
}

#[tokio::test]
async fn while_the_queue_is_full_no_signature_is_looked_at() {
    let mut layout = Layout::default();
    layout.settings.claims_queued = 3;
    let shop = Shop::laid_out(layout).await;
    shop.sale("s", 50, 1).await;
    let good = [(); 3].map(|()| shop.claiming("s", &shop.buyer(), "", json!({"units": 1})));
    let forged = shop.claiming("s", "no.such.jwt", "", json!({"units": 1}));
    // On this one thread the three have queued before the lane takes the first.
    let (good, forged) = futures_util::join!(futures_util::future::join_all(good), forged);
    assert!(good.iter().all(|answer| answer.status == 202), "{good:?}");
    assert!(forged.is(503, "busy"), "{forged:?}");
    let forged = shop.claim("s", "no.such.jwt", "", json!({"units": 1})).await;
    assert!(forged.is(401, "unauthenticated"), "{forged:?}");
}

#[tokio::test]
async fn at_the_bound_of_the_outbox_claims_are_busy() {
    let mut layout = Layout::default();
    layout.gate.bounds.outbox_most = 1;
    let shop = Shop::laid_out(layout).await;
    shop.sale("s", 50, 1).await;
    assert_eq!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.status, 202);
    assert!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.is(503, "busy"));
}

#[tokio::test]
async fn at_the_bound_of_lookups_a_retry_on_a_retired_round_is_busy() {
    let mut layout = Layout::default();
    layout.settings.lookups = 0;
    let shop = Shop::laid_out(layout).await;
    let round = shop.sale("s", 5, 1).await.body["round"].clone();
    shop.patch("s", "", json!({"closed": true})).await;
    shop.retire("s").await;
    let buyer = shop.buyer();
    for body in [json!({"units": 1}), json!({"units": 1, "round": round})] {
        assert!(shop.claim("s", &buyer, "", body).await.is(503, "busy"));
    }
}

#[tokio::test]
async fn a_gate_that_has_ended_is_unavailable_and_its_readers_still_see_the_sale() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    shop.seams.gate.close().await;
    let answer = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(answer.is(503, "unavailable"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(shop.get("/v1/sales/s").await.body["state"], "open");
}

#[tokio::test]
async fn without_the_ledger_known_sales_go_on_and_unknown_ones_are_not_denied() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    shop.seams.ledger.close().await;
    assert_eq!(shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await.status, 202);
    let unknown = shop.claim("new", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(unknown.is(503, "unavailable"), "{unknown:?}");
    assert!(shop.sale("new", 5, 1).await.is(503, "unavailable"));
}

#[tokio::test]
async fn paths_and_methods_that_nobody_knows_are_problems_too() {
    let shop = Shop::open().await;
    assert!(shop.get("/v1/nothing").await.is(404, "not-found"));
    let wrong = Request::delete("/v1/sales").body(Body::empty()).unwrap();
    let answer = shop.send(wrong).await;
    assert!(answer.is(405, "invalid-request"), "{answer:?}");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}
