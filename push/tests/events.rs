//! `GET /v1/tickets/{id}/events`: the ticket as server-sent events.

mod support;

use std::time::Duration;

use support::http::{Events, event};
use support::{House, jwt, quiet, until};

#[tokio::test]
async fn the_stream_tells_the_present_state_then_the_final_and_ends() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    for bearer in [ada.token.clone(), jwt("ada")] {
        let events = Events::open(&house, &ada.id().to_string(), &bearer, &[]).await;
        assert_eq!(events.status, 200);
        assert_eq!(events.headers["content-type"], "text/event-stream");
        assert_eq!(events.headers["cache-control"], "no-store");
        assert_eq!(events.headers["x-accel-buffering"], "no");
    }
    let mut events = Events::open(&house, &ada.id().to_string(), &ada.token, &[]).await;
    assert_eq!(events.next().await, Some(event(&house.pending(&ada))));
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    assert_eq!(events.next().await, Some(event(&ticket)));
    assert_eq!(events.next().await, None);
    house.is_deserted().await;

    let mut late = Events::open(&house, &ada.id().to_string(), &ada.token, &[]).await;
    assert_eq!(late.next().await, Some(event(&ticket)));
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn a_resumed_stream_repeats_nothing_and_a_bad_cursor_counts_as_none() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let mut resumed = Events::open(&house, &id, &ada.token, &[("last-event-id", "1")]).await;
    for cursor in ["99", "0", "-1", "x", "\"1\"", "18446744073709551616"] {
        let headers = [("last-event-id", cursor)];
        let mut events = Events::open(&house, &id, &ada.token, &headers).await;
        assert_eq!(events.next().await, Some(event(&house.pending(&ada))), "{cursor}");
    }
    let ticket = house.finish(std::slice::from_ref(&ada)).await.remove(0);
    assert_eq!(resumed.next().await, Some(event(&ticket)));
    assert_eq!(resumed.next().await, None);

    let mut over = Events::open(&house, &id, &ada.token, &[("last-event-id", "2")]).await;
    assert_eq!((over.status.as_u16(), over.next().await), (200, None));
    let mut missed = Events::open(&house, &id, &ada.token, &[("last-event-id", "1")]).await;
    assert_eq!(missed.next().await, Some(event(&ticket)));
}

#[tokio::test]
async fn a_silent_stream_is_kept_up_by_comments() {
    let settings = push::Settings { heartbeat_every: Duration::from_millis(5), ..quiet() };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut events = Events::open(&house, &ada.id().to_string(), &ada.token, &[]).await;
    assert_eq!(events.next().await, Some(event(&house.pending(&ada))));
    for _ in 0..3 {
        assert_eq!(events.next().await.as_deref(), Some(":"));
    }
}

#[tokio::test]
async fn a_stream_whose_client_goes_leaves_nothing_behind() {
    let house = House::open(quiet()).await;
    let ada = house.grant_one("ada").await;
    let mut events = Events::open(&house, &ada.id().to_string(), &ada.token, &[]).await;
    events.next().await;
    assert_eq!(house.push.watched(), 1);
    drop(events);
    until("the watch is gone", || house.push.watched() == 0).await;
}
