//! What a claim that is granted is answered, and every retry of it.

use std::collections::HashSet;
use std::time::Duration;

use api::Settings;
use sale::status::Reason;
use serde_json::json;
use tokio::task::JoinSet;

use crate::shop::{Layout, Shop, claim};

#[tokio::test]
async fn a_granted_claim_is_answered_202_with_ticket_token_and_stream() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let answer = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let ticket = &answer.body["ticket"];
    assert_eq!(
        answer.header("location"),
        format!("/v1/tickets/{}", ticket["id"].as_str().unwrap())
    );
    assert_eq!((answer.header("cache-control"), answer.header("retry-after")), ("no-store", "1"));
    assert_eq!((&ticket["status"], &ticket["version"]), (&json!("pending"), &json!(1)));
    assert_eq!(answer.body["stream"], "ws://shop.example:8080/v1/ws");
    let order = shop.tokens.open(answer.body["token"].as_str().unwrap()).unwrap();
    assert_eq!(order.ticket.to_string(), ticket["id"]);
    assert_eq!(order.granted_at.to_string(), ticket["granted_at"]);
    let keys: Vec<_> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["stream", "ticket", "token"]);
}

#[tokio::test]
async fn behind_tls_the_stream_is_told_as_wss() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let mut request = claim("s", &shop.buyer(), "", r#"{"units":1}"#);
    request.headers_mut().insert("x-forwarded-proto", "https, http".parse().unwrap());
    assert_eq!(shop.send(request).await.body["stream"], "wss://shop.example:8080/v1/ws");
}

#[tokio::test]
async fn the_same_claim_again_is_answered_200_with_the_same_three_in_the_present_state() {
    let shop = Shop::open().await;
    shop.sale("s", 1, 1).await;
    let buyer = shop.buyer();
    let first = shop.claim("s", &buyer, "k", json!({"units": 1})).await;
    let again = shop.claim("s", &buyer, "k", json!({"units": 1})).await;
    assert_eq!((again.status, &again.body), (200.try_into().unwrap(), &first.body));
    assert_eq!(again.header("location"), first.header("location"));

    shop.decide().await;
    let decided = shop.claim("s", &buyer, "k", json!({"units": 1})).await;
    assert_eq!((decided.status.as_u16(), &decided.body["token"]), (200, &first.body["token"]));
    assert_eq!(decided.body["ticket"]["status"], "confirmed", "and all is sold by now");
    assert_eq!(decided.body["ticket"]["version"], 2);
}

#[tokio::test]
async fn a_claim_again_is_answered_with_a_verdict_that_the_gate_was_not_told() {
    let settings = Settings { overdue_after: Duration::ZERO, ..Settings::default() };
    let shop = Shop::laid_out(Layout { settings, ..Layout::default() }).await;
    shop.sale("s", 5, 2).await;
    let buyer = shop.buyer();
    let claim = async |key| shop.claim("s", &buyer, key, json!({"units": 2})).await;
    let first = claim("k").await;
    assert_eq!(claim("k").await.body["ticket"], first.body["ticket"], "there is none yet");
    shop.decide_untold(&shop.batches().await).await;

    let again = claim("k").await;
    assert_eq!((again.status.as_u16(), &again.body["ticket"]["version"]), (200, &json!(2)));
    assert_eq!(again.body["token"], first.body["token"]);
    let refused = claim("other").await;
    assert!(refused.is(409, "limit-reached"), "{refused:?}");
    assert_eq!(refused.body["held"][0]["ticket"], again.body["ticket"]);
}

#[tokio::test]
async fn after_a_rejection_a_new_key_may_try_again() {
    let shop = Shop::open().await;
    shop.sale("s", 1, 1).await;
    let buyer = shop.buyer();
    shop.claim("s", &buyer, "first", json!({"units": 1})).await;
    shop.reject(Reason::Deadline).await;
    let same = shop.claim("s", &buyer, "first", json!({"units": 1})).await;
    assert_eq!((same.status.as_u16(), &same.body["ticket"]["reason"]), (200, &json!("deadline")));
    let new = shop.claim("s", &buyer, "second", json!({"units": 1})).await;
    assert_eq!(new.status, 202, "{new:?}");
    let report = shop.report("s").await;
    assert_eq!([&report["available"], &report["held"], &report["rejected"]], [0, 1, 1]);
}

#[tokio::test]
async fn a_double_click_without_a_key_makes_one_ticket() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let buyer = shop.buyer();
    let first = shop.claim("s", &buyer, "", json!({"units": 1})).await;
    let mut empty_key = claim("s", &buyer, "", r#"{"units":1}"#);
    empty_key.headers_mut().insert("idempotency-key", "".parse().unwrap());
    let second = shop.send(empty_key).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(shop.report("s").await["held"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unit_goes_to_one_of_two_hundred_buyers_who_claim_at_once() {
    let shop = Shop::open().await;
    shop.sale("s", 1, 1).await;
    let mut buyers = JoinSet::new();
    for _ in 0..200 {
        buyers.spawn(shop.claiming("s", &shop.buyer(), "", json!({"units": 1})));
    }
    let answers = buyers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.is(409, "sold-out")).count(), 199);
    shop.decide().await;
    let report = shop.report("s").await;
    assert_eq!([&report["available"], &report["held"], &report["sold"]], [0, 0, 1]);
    assert_eq!(report["state"], "sold_out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_posts_a_thousand_times_gets_one_unit_and_leaves_the_others_theirs() {
    let shop = Shop::open().await;
    shop.sale("s", 100, 1).await;
    let greedy = shop.buyer();
    let mut posts = JoinSet::new();
    for _ in 0..1000 {
        posts.spawn(shop.claiming("s", &greedy, "", json!({"units": 1})));
    }
    let answers = posts.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 999);
    let tickets: HashSet<_> = answers.iter().map(|answer| &answer.text).collect();
    assert_eq!(tickets.len(), 1, "every repeat has the same bytes");

    let mut posts = JoinSet::new();
    for _ in 0..99 {
        posts.spawn(shop.claiming("s", &shop.buyer(), "", json!({"units": 1})));
    }
    assert!(posts.join_all().await.iter().all(|answer| answer.status == 202));
    let late = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    assert!(late.is(409, "sold-out"), "{late:?}");
    assert_eq!(shop.report("s").await["held"], 100);
}

#[tokio::test]
async fn a_round_that_is_pinned_and_present_changes_nothing() {
    let shop = Shop::open().await;
    let round = shop.sale("s", 5, 1).await.body["round"].clone();
    let buyer = shop.buyer();
    let pinned = shop.claim("s", &buyer, "", json!({"units": 1, "round": round})).await;
    assert_eq!(pinned.status, 202);
    let free = shop.claim("s", &buyer, "", json!({"units": 1, "round": null})).await;
    assert_eq!((free.status.as_u16(), &free.body), (200, &pinned.body));
}

#[tokio::test]
async fn a_round_of_another_sale_or_of_none_is_refused() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let other = shop.sale("other", 5, 1).await.body["round"].clone();
    for round in [other, json!("4000000000"), json!(1), json!("+1"), json!("")] {
        let answer = shop.claim("s", &shop.buyer(), "", json!({"units": 1, "round": round})).await;
        assert!(answer.is(400, "invalid-request"), "{round} {answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("round"), "{answer:?}");
    }
    assert_eq!(shop.report("s").await["available"], 5);
}

#[tokio::test]
async fn when_the_round_is_retired_a_winner_finds_his_ticket_and_others_find_it_closed() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 2).await;
    let (winner, other) = (shop.buyer(), shop.buyer());
    let first = shop.claim("s", &winner, "k", json!({"units": 1})).await;
    shop.decide().await;
    shop.patch("s", "", json!({"closed": true})).await;
    shop.retire("s").await;

    let again = shop.claim("s", &winner, "k", json!({"units": 1})).await;
    assert_eq!((again.status.as_u16(), &again.body["token"]), (200, &first.body["token"]));
    assert_eq!(again.body["ticket"]["status"], "confirmed");
    assert!(shop.claim("s", &winner, "k", json!({"units": 2})).await.is(422, "units-differ"));
    assert!(shop.claim("s", &winner, "new", json!({"units": 1})).await.is(409, "closed"));
    assert!(shop.claim("s", &other, "k", json!({"units": 1})).await.is(409, "closed"));
    assert_eq!(shop.report("s").await["available"], 4, "the ledger alone answers for it");
}
