//! What everybody may read, and guests.

use axum::body::Body;
use axum::http::{Method, Request};
use edge::origins::Origin;
use sale::time::Timestamp;
use serde_json::json;
use store::clock;

use crate::shop::{Layout, Shop, open_sale};

#[tokio::test]
async fn a_sale_is_shown_with_its_state_and_the_gates_time() {
    let shop = Shop::open().await;
    let created = shop.sale("s", 5, 2).await;
    let answer = shop.get("/v1/sales/s").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    let mut shown = answer.body;
    let now = shown.as_object_mut().unwrap().remove("now").unwrap();
    let now = Timestamp::parse(now.as_str().unwrap()).unwrap();
    assert!(clock::now().since(now).as_secs() < 60);
    let expected = json!({
        "id": "s", "name": "A sale", "round": created.body["round"], "state": "open", "limit": 2,
        "opens_at": "2020-01-01T00:00:00.000Z", "closes_at": "2100-01-01T00:00:00.000Z",
    });
    assert_eq!(shown, expected, "and no count of the stock");
}

#[tokio::test]
async fn the_list_has_every_sale_in_its_state() {
    let shop = Shop::open().await;
    shop.sale("open", 5, 1).await;
    shop.sale("gone", 1, 1).await;
    shop.claim("gone", &shop.buyer(), "", json!({"units": 1})).await;
    shop.sale("over", 5, 1).await;
    let mut later = open_sale("later", 5, 1);
    later["opens_at"] = json!("2090-01-01T00:00:00Z");
    shop.admin(Method::POST, "sales", "", later).await;
    shop.patch("over", "", json!({"closed": true})).await;

    let answer = shop.get("/v1/sales").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=1");
    let sales = answer.body["sales"].as_array().unwrap();
    let mut states: Vec<_> =
        sales.iter().map(|sale| (sale["id"].as_str().unwrap(), &sale["state"])).collect();
    states.sort_by_key(|(id, _)| *id);
    let expected = json!(["sold_out", "upcoming", "open", "closed"]);
    assert_eq!(
        states.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        ["gone", "later", "open", "over"]
    );
    assert_eq!(json!(states.iter().map(|(_, state)| state).collect::<Vec<_>>()), expected);
}

#[tokio::test]
async fn a_sale_that_is_not_there_is_not_found() {
    let shop = Shop::open().await;
    for path in ["/v1/sales/nowhere", "/v1/sales/UPPER", "/v1/sales/%ff"] {
        assert!(shop.get(path).await.is(404, "not-found"), "{path}");
    }
}

#[tokio::test]
async fn a_name_with_markup_stays_text() {
    let shop = Shop::open().await;
    let name = "<img src=x onerror=alert(1)> \"&\" ünïcode";
    let mut new = open_sale("s", 5, 1);
    new["name"] = json!(name);
    assert_eq!(shop.admin(Method::POST, "sales", "", new).await.body["name"], name);
    let answer = shop.get("/v1/sales/s").await;
    assert_eq!(answer.body["name"], name);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn the_time_is_told_without_any_store() {
    let shop = Shop::open().await;
    shop.seams.ledger.close().await;
    shop.seams.gate.close().await;
    let before = clock::now().millis();
    let answer = shop.get("/v1/now").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let now = answer.body["now"].as_i64().unwrap();
    assert!((before..=clock::now().millis()).contains(&now));
}

#[tokio::test]
async fn a_guest_gets_a_jwt_that_claims() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let guest = shop.send(Request::post("/v1/guests").body(Body::empty()).unwrap()).await;
    assert_eq!((guest.status.as_u16(), guest.header("cache-control")), (201, "no-store"));
    let jwt = guest.body["token"].as_str().unwrap();
    let claim = shop.claim("s", jwt, "", json!({"units": 1})).await;
    let order = shop.tokens.open(claim.body["token"].as_str().unwrap()).unwrap();
    assert_eq!(order.buyer.as_str(), guest.body["buyer"]);
}

#[tokio::test]
async fn where_guests_are_not_allowed_there_is_nothing() {
    let shop = Shop::laid_out(Layout { guests: false, ..Layout::default() }).await;
    let guest = shop.send(Request::post("/v1/guests").body(Body::empty()).unwrap()).await;
    assert!(guest.is(404, "not-found"), "{guest:?}");
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_claim_and_no_page_may_administrate() {
    let shop = "https://shop.example.com";
    let origins = vec![Origin::parse(shop).unwrap()];
    let served = Shop::laid_out(Layout { origins, ..Layout::default() }).await;
    let preflight = |path: &str, origin: &str| {
        Request::options(path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,idempotency-key")
            .body(Body::empty())
            .unwrap()
    };
    let allowed =
        |answer: &crate::shop::Answer| answer.header("access-control-allow-origin").to_owned();
    let own = served.send(preflight("/v1/sales/s/tickets", shop)).await;
    assert_eq!((own.status.as_u16(), allowed(&own)), (200, shop.to_owned()));
    assert!(own.header("access-control-allow-headers").contains("idempotency-key"));
    for (path, origin) in [
        ("/v1/sales/s/tickets", "https://shop.example.com.evil.example"),
        ("/v1/sales/s/tickets", "null"),
        ("/v1/admin/sales", shop),
    ] {
        assert_eq!(allowed(&served.send(preflight(path, origin)).await), "", "{path} {origin}");
    }
}
