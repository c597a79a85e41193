//! The ways to a result, and falling from one to the next.

use client::{Status, Way, Ways};
use futures_util::future::join_all;

use crate::buyer::{all, client, told, win};
use crate::front::{Fate, Front};
use crate::harness::{Server, eventually};
use crate::ledger::Lock;

const SOON: (&str, &str) = ("reread_every", "20ms");

impl Server {
    pub(crate) async fn until_watched(&self, tickets: f64) {
        eventually("so many tickets are watched", async || {
            (self.gauge("dibs_push_watched").await == tickets).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn each_way_tells_the_final_result_in_the_same_bytes() {
    let server = Server::start(&[SOON]).await;
    server.open_sale("cups", 5, 1).await;
    let lock = Lock::ledger(&server).await;
    let client = client(&server.base);
    let held = win(&client, "cups", "ada").await;
    assert_eq!(held.ticket.ticket.status, Status::Pending);
    let watches = Way::ALL.map(|way| client.watch(&held, &Ways::only(way)));
    let decided = async {
        server.until_watched(1.0).await;
        lock.release().await;
    };
    let (told, ()) = tokio::join!(join_all(watches.map(all)), decided);
    for (news, way) in told.iter().zip(Way::ALL) {
        let [news] = news.as_slice() else { panic!("{way:?}: one verdict, told once: {news:?}") };
        assert_eq!(news.way, way);
        assert_eq!(news.seen.ticket.status, Status::Confirmed);
        assert_eq!(news.seen.bytes, told[0][0].seen.bytes, "{way:?}");
    }
}

#[tokio::test]
async fn who_asks_for_everything_is_shown_the_present_state_first_and_all_of_one_stream() {
    let server = Server::start(&[SOON]).await;
    server.open_sale("cups", 5, 1).await;
    let client = client(&server.base);
    for (buyer, way) in [("ada", Way::Socket), ("bob", Way::Events)] {
        let lock = Lock::ledger(&server).await;
        let held = win(&client, "cups", buyer).await;
        let mut watch = client.watch(&held, &Ways::only(way).everything());
        let first = told(&mut watch).await;
        assert_eq!(first.seen, held.ticket, "the same bytes as the claim's answer");
        lock.release().await;
        let last = told(&mut watch).await;
        assert_eq!(last.seen.ticket.version, 2);
        assert_eq!(first.begun, last.begun, "it was one stream");
        assert!(watch.next().await.is_none());
    }
}

#[tokio::test]
async fn what_the_network_does_not_carry_is_made_up_for_by_the_next_way() {
    let server = Server::start(&[SOON]).await;
    server.open_sale("cups", 5, 1).await;
    let bars: [&[&str]; 3] =
        [&["/v1/ws "], &["/v1/ws ", "/events "], &["/v1/ws ", "/events ", "prefer: wait"]];
    let falls =
        bars.iter().zip([Way::Events, Way::LongPoll, Way::Poll]).map(async |(bars, way)| {
            let bars = bars.to_vec();
            let barred = move |head: &str| bars.iter().any(|bar| head.contains(bar));
            let front = Front::before(&server, move |head| match barred(head) {
                true => Fate::Refused,
                false => Fate::Passes,
            })
            .await;
            let client = front.client();
            let held = win(&client, "cups", &format!("{way:?}")).await;
            let told = all(client.watch(&held, &Ways::default())).await;
            let last = told.last().unwrap();
            assert_eq!((last.way, last.seen.ticket.version), (way, 2));
        });
    join_all(falls).await;
}
