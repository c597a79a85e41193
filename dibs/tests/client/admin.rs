//! The merchant's side.

use std::collections::HashSet;

use client::{Admin, Error, NewSale, RequestId, Stage, Standing, Status, Timestamp, Units, Ways};
use futures_util::{StreamExt as _, stream};

use crate::buyer::{admin, all, client, sale, win};
use crate::harness::{Server, eventually};
use crate::ledger::{heal, poison};

fn cups(stock: u32) -> NewSale {
    NewSale {
        id: sale("cups"),
        name: "Cups".to_owned(),
        stock,
        limit: Units::ONE,
        opens_at: Timestamp::parse("2020-01-01T00:00:00Z").unwrap(),
        closes_at: Timestamp::parse("2100-01-01T00:00:00Z").unwrap(),
    }
}

#[tokio::test]
async fn a_sale_is_created_once_changed_and_closed() {
    let server = Server::start(&[]).await;
    let admin = admin(&server);
    let created = admin.create(&cups(5)).await.unwrap();
    assert_eq!((created.stock, created.available, created.state), (5, Some(5), Stage::Open));
    assert_eq!(admin.create(&cups(5)).await.unwrap().round, created.round);
    let other = admin.create(&cups(6)).await.unwrap_err();
    assert!(matches!(&other, Error::Refused(refusal) if refusal.status == 409), "{other:?}");

    let key = RequestId::new("pallet").unwrap();
    for _ in 0..2 {
        let restocked = admin.restock(&created.id, &key, 3).await.unwrap();
        assert_eq!((restocked.applied, restocked.report.stock), (3, 8));
    }
    assert_eq!(admin.rename(&created.id, "Mugs").await.unwrap().name, "Mugs");
    let late = admin.reschedule(&created.id, Some(created.closes_at), None).await.unwrap_err();
    assert!(matches!(late, Error::Refused(_)), "{late:?}");
    let closed = admin.close(&created.id).await.unwrap();
    assert_eq!((closed.closed, closed.state), (true, Stage::Closed));
    let listed = admin.sales().await.unwrap();
    assert_eq!(listed, [admin.sale(&created.id).await.unwrap()]);
}

#[tokio::test]
async fn a_sale_that_is_not_open_yet_is_moved() {
    let server = Server::start(&[]).await;
    let admin = admin(&server);
    let mut later = cups(5);
    later.opens_at = Timestamp::parse("2099-01-01T00:00:00Z").unwrap();
    admin.create(&later).await.unwrap();
    let opens_at = Timestamp::parse("2021-01-01T00:00:00Z").unwrap();
    let moved = admin.reschedule(&later.id, Some(opens_at), None).await.unwrap();
    assert_eq!((moved.opens_at, moved.closes_at), (opens_at, later.closes_at));
}

#[tokio::test]
async fn the_tickets_of_all_pages_are_listed_with_their_buyers() {
    let server = Server::start(&[]).await;
    let admin = admin(&server);
    admin.create(&cups(1_500)).await.unwrap();
    let client = client(&server.base);
    let buyers: HashSet<_> = (0..1_001).map(|n| format!("buyer-{n}")).collect();
    let held: Vec<_> = stream::iter(&buyers)
        .map(|buyer| win(&client, "cups", buyer))
        .buffer_unordered(64)
        .collect()
        .await;
    eventually("all are decided", async || {
        (admin.sale(&sale("cups")).await.unwrap().sold == 1_001).then_some(())
    })
    .await;
    let entries = admin.tickets(&sale("cups")).await.unwrap();
    let listed: HashSet<_> = entries.iter().map(|entry| entry.buyer.to_string()).collect();
    assert_eq!((entries.len(), listed), (1_001, buyers));
    let ticket = &held[7];
    let found = admin.ticket(&sale("cups"), ticket.id()).await.unwrap();
    let told = all(client.watch(ticket, &Ways::default())).await;
    assert_eq!(found.unwrap().ticket, told.last().unwrap().seen, "the bytes are the same");
    let mut unknown = ticket.id();
    unknown.0[15] ^= 1;
    assert_eq!(admin.ticket(&sale("cups"), unknown).await.unwrap(), None);

    let rounds = admin.rounds().await.unwrap();
    let [round] = rounds.as_slice() else { panic!("{rounds:?}") };
    assert_eq!((&round.state, round.agree, round.incarnation), (&Standing::Live, Some(true), 1));
    assert_eq!((round.ledger.sold, round.gate.unwrap().sold), (1_001, 1_001));
}

#[tokio::test]
async fn an_order_that_was_set_aside_is_sent_again() {
    let server = Server::start(&[("retry_every", "20ms")]).await;
    let admin = admin(&server);
    admin.create(&cups(5)).await.unwrap();
    poison(&server, "ada").await;
    let client = client(&server.base);
    let held = win(&client, "cups", "ada").await;
    let parked = eventually("it is set aside", async || admin.parked().await.unwrap().pop()).await;
    assert_eq!((parked.ticket, parked.buyer.as_str()), (held.id(), "ada"));
    heal(&server).await;
    admin.resend(held.id()).await.unwrap();
    let told = all(client.watch(&held, &Ways::default())).await;
    assert_eq!(told.last().unwrap().seen.ticket.status, Status::Confirmed);
    let gone = admin.reject(held.id()).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn without_the_key_nothing_is_told() {
    let server = Server::start(&[]).await;
    let admin = Admin::of(client(&server.base), "not-the-key-of-tests");
    let refused = admin.sales().await;
    assert!(matches!(refused, Err(Error::Unauthorized(_))), "{refused:?}");
    assert!(!format!("{admin:?}").contains("not-the-key"), "the key is not shown");
}
