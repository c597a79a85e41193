//! The server goes away and comes back.

use client::{Status, Way, Ways};
use futures_util::future::join_all;

use crate::buyer::{admin, all, claim, client, win};
use crate::dice::address;
use crate::harness::{Place, Server};
use crate::ledger::Lock;

/// A server that is at the same address after each start.
async fn start(place: &Place, listen: &str) -> Server {
    Server::start_in(place.clone(), &[("listen", listen), ("reread_every", "20ms")]).await
}

#[tokio::test]
async fn on_each_way_the_result_arrives_after_the_server_was_killed_and_restarted() {
    let (place, listen) = (Place::new(), address());
    let server = start(&place, &listen).await;
    server.open_sale("cups", 9, 1).await;
    let lock = Lock::ledger(&server).await;
    let client = client(&server.base);
    let mut watches = Vec::new();
    for ways in Way::ALL.map(Ways::only).into_iter().chain([Ways::default()]) {
        let held = win(&client, "cups", &format!("buyer-{}", watches.len())).await;
        watches.push(client.watch(&held, &ways));
    }
    let restarted = async {
        // Those who poll watch nothing between two polls.
        server.until_watched(4.0).await;
        server.kill9().await;
        lock.release().await;
        start(&place, &listen).await
    };
    let (told, server) = tokio::join!(join_all(watches.into_iter().map(all)), restarted);
    for told in told {
        let [news] = told.as_slice() else { panic!("one verdict, told once: {told:?}") };
        assert_eq!(news.seen.ticket.status, Status::Confirmed);
    }
    assert_eq!(server.audit("cups", &[]).await.confirmed_units, 5);
}

#[tokio::test]
async fn who_is_sent_away_by_a_drain_comes_back() {
    let (place, listen) = (Place::new(), address());
    let mut server = start(&place, &listen).await;
    server.open_sale("cups", 9, 1).await;
    let lock = Lock::ledger(&server).await;
    let client = client(&server.base);
    let mut watches = Vec::new();
    for way in [Way::Socket, Way::Events, Way::LongPoll] {
        let held = win(&client, "cups", &format!("{way:?}")).await;
        watches.push(client.watch(&held, &Ways::only(way)));
    }
    let restarted = async {
        server.until_watched(3.0).await;
        server.signal(rustix::process::Signal::TERM);
        lock.release().await;
        assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
        start(&place, &listen).await
    };
    let (told, _server) = tokio::join!(join_all(watches.into_iter().map(all)), restarted);
    for told in told {
        let [news] = told.as_slice() else { panic!("one verdict, told once: {told:?}") };
        assert_eq!(news.seen.ticket.status, Status::Confirmed);
    }
}

#[tokio::test]
async fn a_claim_goes_on_until_the_server_is_back() {
    let (place, listen) = (Place::new(), address());
    let server = start(&place, &listen).await;
    server.open_sale("cups", 9, 1).await;
    let client = client(&server.base);
    let first = win(&client, "cups", "ada").await;
    server.kill9().await;
    // Ada's retry finds her ticket, Bob's first attempt reaches nobody.
    let (ada, bob) = (claim("cups", "ada", "1"), claim("cups", "bob", "1"));
    let (again, other, server) =
        tokio::join!(client.claim(&ada), client.claim(&bob), start(&place, &listen));
    let client::Answer::Ticket(again) = again.unwrap() else { panic!("she has a ticket") };
    assert_eq!(again.id(), first.id());
    assert!(matches!(other.unwrap(), client::Answer::Ticket(_)));
    let report = admin(&server).sale(&crate::buyer::sale("cups")).await.unwrap();
    assert_eq!(report.available, Some(7));
}
