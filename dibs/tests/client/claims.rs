//! One claim is one ticket, however often it is sent.

use std::sync::atomic::{AtomicUsize, Ordering};

use client::{Answer, Ask, Error, SaleId, Stage, Ways};
use futures_util::future::join_all;

use crate::buyer::{admin, all, claim, client, sale, win};
use crate::front::{Fate, Front};
use crate::harness::claimer::jwt;
use crate::harness::{PATIENCE, Server};

#[tokio::test]
async fn a_claim_whose_answer_was_lost_finds_its_ticket() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let attempts = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let front = Front::before(&server, move |head| {
        let swallowed = head.starts_with("POST ") && counted.fetch_add(1, Ordering::Relaxed) == 0;
        if swallowed { Fate::Swallowed } else { Fate::Passes }
    })
    .await;
    let claim = claim("cups", "ada", "1");
    let client = front.client();
    let held = client.claim(&claim).await.unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
    let Answer::Ticket(held) = held else { panic!("{held:?}") };
    all(client.watch(&held, &Ways::default())).await;
    let report = admin(&server).sale(&sale("cups")).await.unwrap();
    assert_eq!((report.sold, report.available), (1, Some(4)), "it was granted once");
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_told_as_not_known() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let front = Front::before(&server, |_| Fate::Swallowed).await;
    let error = front.client().claim_once(&claim("cups", "ada", "1")).await.unwrap_err();
    assert!(matches!(error, Error::NotKnown { .. }), "{error:?}");
    assert!(error.is_worth_another_try());
    let found = win(&client(&server.base), "cups", "ada").await;
    let report = admin(&server).sale(&sale("cups")).await.unwrap();
    assert_eq!(report.available, Some(4), "{found:?}");
}

#[tokio::test]
async fn devices_that_claim_at_once_under_one_request_id_hold_one_ticket() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 50, 8).await;
    let devices: Vec<_> = (0..8).map(|_| client(&server.base)).collect();
    let held = join_all(devices.iter().map(|device| win(device, "cups", "ada"))).await;
    for other in &held[1..] {
        assert_eq!(other.id(), held[0].id());
    }
    let token = &held[7].token;
    let read = devices[0].read(held[0].id(), token, Ask::default()).await.unwrap();
    assert_eq!(read.seen.unwrap().ticket.id, held[0].id());
    all(devices[0].watch(&held[0], &Ways::default())).await;
    assert_eq!(admin(&server).sale(&sale("cups")).await.unwrap().sold, 1);
}

#[tokio::test]
async fn a_ticket_is_read_by_its_token_or_its_owner_and_by_nobody_else() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let client = client(&server.base);
    let (ada, bob) = (win(&client, "cups", "ada").await, win(&client, "cups", "bob").await);
    let told = all(client.watch(&ada, &Ways::default())).await;
    let last = told.last().map_or(&ada.ticket, |news| &news.seen);
    for credentials in [&ada.token, &jwt("ada")] {
        let read = client.read(ada.id(), credentials, Ask::default()).await.unwrap();
        assert_eq!(read.seen.as_ref(), Some(last));
        assert_eq!(read.poll_after, None, "there is nothing to wait for");
        let known = Ask { known: Some(2), wait: None };
        assert_eq!(client.read(ada.id(), credentials, known).await.unwrap().seen, None);
    }
    for foreign in [&bob.token, &jwt("bob"), "no-token"] {
        let read = client.read(ada.id(), foreign, Ask::default()).await;
        assert!(matches!(read, Err(Error::NotFound(_))), "{read:?}");
    }
}

#[tokio::test]
async fn a_guest_buys_like_everybody_else_where_guests_are_allowed() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 1).await;
    let client = client(&server.base);
    let guest = client.guest().await.unwrap();
    let mut claim = client::Claim::new(sale("cups"), guest.jwt.clone());
    claim.round = Some(client.sale(&sale("cups")).await.unwrap().round);
    let Answer::Ticket(held) = client.claim(&claim).await.unwrap() else { panic!("no ticket") };
    all(client.watch(&held, &Ways::default())).await;
    let entry = admin(&server).ticket(&sale("cups"), held.id()).await.unwrap().unwrap();
    assert_eq!(entry.buyer, guest.buyer);
    assert!(!format!("{guest:?} {claim:?} {held:?}").contains(&guest.jwt), "secrets are not shown");

    let closed = Server::start(&[("guests", "false")]).await;
    let refused = crate::buyer::client(&closed.base).guest().await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn sales_and_the_clock_are_read() {
    let server = Server::start(&[]).await;
    server.open_sale("cups", 5, 2).await;
    let client = client(&server.base);
    let cups = client.sale(&sale("cups")).await.unwrap();
    assert_eq!((cups.name.as_str(), cups.limit.get(), cups.state), ("Sale cups", 2, Stage::Open));
    let listed = client.sales().await.unwrap();
    assert_eq!(listed.iter().map(|sale| &sale.id).collect::<Vec<_>>(), [&cups.id]);
    let missing = client.sale(&SaleId::new("none").unwrap()).await;
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");

    let clock = client.clock().await.unwrap();
    let (before, told, after) = (store::clock::now(), clock.now(), store::clock::now());
    // Both clocks are this machine's, which somebody may set while the test runs.
    let off = told.since(after).max(before.since(told));
    assert!(off < PATIENCE, "{clock:?} is off {off:?}");
    assert_eq!(clock.until(before), std::time::Duration::ZERO);
}
