//! The drain: everybody learns when to come back, and nobody holds it up.

mod support;

use std::sync::Arc;
use std::time::Duration;

use push::Settings;
use support::http::{Events, event, get_as};
use support::ws::{Client, refused, request};
use support::{House, quiet, until, within};

fn swift() -> Settings {
    Settings { drain_over: Duration::from_millis(50), ..quiet() }
}

#[tokio::test]
async fn each_socket_gets_its_own_delay_and_is_closed_1001() {
    let house = House::open(swift()).await;
    let ada = house.grant_one("ada").await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&house).await;
        client.watch(&[&ada.token]).await;
        client.expect(&house.pending(&ada)).await;
        clients.push(client);
    }
    assert_eq!(house.push.ready().await, Ok(()));
    let reading = async {
        let mut delays = Vec::new();
        for client in &mut clients {
            let frame = client.next_json().await;
            assert_eq!(frame["type"], "drain");
            delays.push(frame["reconnect_after_ms"].as_u64().unwrap());
            assert_eq!(client.close_code().await, 1001);
        }
        delays
    };
    let (mut delays, ()) = tokio::join!(reading, within(house.push.drain()));
    assert!(delays.iter().all(|delay| (500..=10_000).contains(delay)), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
    assert_eq!((house.push.sockets(), house.push.watched()), (0, 0));
    assert!(house.push.ready().await.is_err());
    let (status, _) = refused(&house, request(&house)).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn held_polls_are_answered_and_event_streams_end_with_a_delay() {
    let house = House::open(swift()).await;
    let ada = house.grant_one("ada").await;
    let id = ada.id().to_string();
    let mut events = Events::open(&house, &id, &ada.token, &[]).await;
    assert_eq!(events.next().await, Some(event(&house.pending(&ada))));
    let bob = house.grant_one("bob").await;
    let hold = [("if-none-match", "\"1\""), ("prefer", "wait=30")];
    let bobs = bob.id().to_string();
    let poll = get_as(&house, &bobs, &bob.token, &hold);
    let drain = async {
        until("the poll is held", || house.push.watched() == 2).await;
        house.push.drain().await;
    };
    let (answer, ()) = tokio::join!(poll, within(drain));
    assert_eq!(answer.status, 304);
    let last = events.next().await.unwrap();
    let delay: u64 = last.strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((500..=10_000).contains(&delay), "{delay}");
    assert_eq!(events.next().await, None);
    // Plain reads are answered as long as anybody asks.
    assert_eq!(get_as(&house, &id, &ada.token, &[]).await.status, 200);
}

#[tokio::test]
async fn peers_that_do_nothing_do_not_hold_the_drain_up_and_the_role_ends_whole() {
    let house = House::open(Settings { close_within: Duration::from_millis(50), ..swift() }).await;
    let ada = house.grant_one("ada").await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(&house).await;
        client.watch(&[&ada.token]).await;
        idle.push(client);
    }
    within(house.push.drain()).await;
    assert_eq!((house.push.sockets(), house.push.watched()), (0, 0));
    house.stop.cancel();
    let House { push, serving, .. } = house;
    within(serving.join_all()).await;
    let push = Arc::into_inner(push).unwrap();
    within(push.end()).await;
}

#[tokio::test]
async fn what_is_left_when_the_drains_time_is_up_is_dropped() {
    let settings = Settings {
        drain_over: Duration::from_secs(3600),
        drain_within: Duration::from_millis(50),
        ..quiet()
    };
    let house = House::open(settings).await;
    let ada = house.grant_one("ada").await;
    let mut client = Client::connect(&house).await;
    client.watch(&[&ada.token]).await;
    client.expect(&house.pending(&ada)).await;
    within(house.push.drain()).await;
    assert_eq!((house.push.sockets(), house.push.watched()), (0, 0));
    assert!(client.next().await.is_none());
}
