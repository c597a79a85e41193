//! What was granted reaches the log, whatever happens to the API.

use std::collections::HashSet;
use std::time::Duration;

use sale::grant::Claim;
use sale::id::{BatchId, BuyerId, RequestId, RoundId, Shard, TicketId};
use sale::units::Units;
use serde_json::json;
use store::gate::Slot;
use tokio::task::JoinSet;

use crate::shop::{Layout, SOON, Shop};

#[tokio::test]
async fn a_grant_is_published_right_away() {
    let shop = Shop::open().await;
    shop.sale("s", 5, 1).await;
    let answer = shop.claim("s", &shop.buyer(), "", json!({"units": 1})).await;
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].ticket.to_string(), answer.body["ticket"]["id"]);
}

#[tokio::test]
async fn grants_that_nobody_published_are_sent_by_the_sweeper_until_they_are_decided() {
    let mut layout = Layout::default();
    layout.gate.bounds.resend_after = Duration::from_millis(20);
    layout.settings.sweep_every = Duration::from_millis(10);
    layout.settings.sweep_most = 2;
    let shop = Shop::laid_out(layout).await;
    let round = shop.sale("s", 5, 1).await.body["round"].clone();
    let round = RoundId::parse(round.as_str().unwrap()).unwrap();
    let sale = shop.seams.ledger.sale_of(round).await.unwrap().unwrap();
    let mut granted = HashSet::new();
    for n in 0..5 {
        let buyer = BuyerId::new(&format!("b{n}")).unwrap();
        let ticket = TicketId::derive(round, Shard::FIRST, &sale.salt, &buyer, &RequestId::none());
        let claim = Claim { ticket, buyer, units: Units::ONE };
        // As if this process had died between the gate's answer and the log.
        shop.seams.gate.grant(Slot::first(round), BatchId([n; 16]), &[claim]).await.unwrap();
        granted.insert(ticket);
    }
    for _ in 0..2 {
        let mut missing = granted.clone();
        while !missing.is_empty() {
            shop.orders().await.iter().for_each(|order| _ = missing.remove(&order.ticket));
        }
    }
}

#[tokio::test]
async fn at_the_end_waiting_claims_are_answered_and_what_was_granted_is_handed_over() {
    let shop = Shop::open().await;
    shop.sale("s", 500, 1).await;
    let mut claims = JoinSet::new();
    for _ in 0..100 {
        claims.spawn(shop.claiming("s", &shop.buyer(), "", json!({"units": 1})));
    }
    let late = shop.claiming("s", &shop.buyer(), "", json!({"units": 1}));
    // All hundred are queued when the end begins.
    tokio::task::yield_now().await;
    let Shop { api, seams, .. } = shop;
    tokio::time::timeout(SOON, api.end()).await.unwrap();

    let granted: HashSet<_> = claims
        .join_all()
        .await
        .iter()
        .inspect(|answer| assert_eq!(answer.status, 202, "{answer:?}"))
        .map(|answer| answer.body["ticket"]["id"].as_str().unwrap().to_owned())
        .collect();
    let mut handed = HashSet::new();
    let mut orders = seams.log.orders().await.unwrap();
    while handed.len() < granted.len() {
        for delivery in tokio::time::timeout(SOON, orders.next(500)).await.unwrap().unwrap() {
            handed.extend(
                delivery.batch().unwrap().orders().iter().map(|order| order.ticket.to_string()),
            );
        }
    }
    assert_eq!(granted, handed);
    let refused = late.await;
    assert!(refused.is(503, "unavailable"), "{refused:?}");
}

#[tokio::test]
async fn the_api_is_ready_once_the_gate_was_tried_and_not_after_it_has_ended() {
    let mut layout = Layout::default();
    layout.settings.probe_every = Duration::from_millis(5);
    let shop = Shop::laid_out(layout).await;
    let until = async |ready: bool| {
        while shop.api.ready().is_ok() != ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, until(true)).await.unwrap();
    shop.seams.gate.close().await;
    tokio::time::timeout(SOON, until(false)).await.unwrap();
}
