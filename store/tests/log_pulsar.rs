//! The log in Pulsar: the contract of every log, and what a broker adds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "pulsar/broker.rs"]
mod broker;
#[macro_use]
#[path = "contract/log.rs"]
mod contract;
#[path = "pulsar/opening.rs"]
mod opening;
#[path = "pulsar/tls.rs"]
mod tls;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use pulsar::{Pulsar, TokioExecutor};
use sale::id::{BatchId, InstallId};
use sale::order::Batch;
use store::log::{Delivery, FeedEvent, LogError, Orders};

use broker::Namespace;
use contract::{INSTALL, batch, id, ids, of, outcome, receive, within};

macro_rules! on_a_broker {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        #[ignore = "needs Pulsar: ./test brings it"]
        async fn $name() {
            let namespace = Namespace::migrated().await;
            contract::$name(namespace.open().await).await;
        }
    )*};
}

every_case!(on_a_broker);

/// Takes until all these batches have come, and acknowledges nothing.
async fn take(orders: &mut Orders, mut missing: HashSet<BatchId>) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while !missing.is_empty() {
        for delivery in within(orders.next(100)).await.unwrap() {
            if missing.remove(&of(&delivery).id) {
                taken.push(delivery);
            }
        }
    }
    taken
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn what_was_not_acknowledged_comes_again_and_what_was_does_not() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    join_all((1..=20).map(|n| log.publish(batch(n, 1)))).await;
    let mut orders = log.orders().await.unwrap();
    let taken = take(&mut orders, ids(20)).await;
    let (done, undone): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|delivery| of(delivery).id.0[1].is_multiple_of(2));
    let undone: HashSet<_> = undone.iter().map(|delivery| of(delivery).id).collect();
    orders.ack(done).await.unwrap();
    drop(orders);
    namespace.until(|workers| workers["msgBacklog"] == 10).await;

    let mut orders = log.orders().await.unwrap();
    let again = take(&mut orders, undone.clone()).await;
    let came: HashSet<_> = again.iter().map(|delivery| of(delivery).id).collect();
    assert_eq!(came, undone);
    orders.ack(again).await.unwrap();
    namespace.until_all_is_acknowledged().await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn what_an_old_consumer_delivered_is_acknowledged_by_the_next() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    log.publish(batch(1, 1)).await.unwrap();
    let mut old = log.orders().await.unwrap();
    let taken = take(&mut old, ids(1)).await;
    drop(old);
    let mut orders = log.orders().await.unwrap();
    orders.ack(taken).await.unwrap();
    namespace.until_all_is_acknowledged().await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn what_is_given_back_comes_again() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    join_all((1..=3).map(|n| log.publish(batch(n, 1)))).await;
    let mut orders = log.orders().await.unwrap();
    let mut taken = take(&mut orders, ids(3)).await;
    let back = taken.pop().unwrap();
    let expected = HashSet::from([of(&back).id]);
    orders.nack(vec![back]).await.unwrap();
    orders.ack(taken).await.unwrap();
    receive(&mut orders, expected).await;
    namespace.until_all_is_acknowledged().await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_worker_that_acknowledges_nothing_leaves_the_rest_to_another() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let mut idle = log.orders().await.unwrap();
    for part in (1..=1000).collect::<Vec<_>>().chunks(100) {
        let published = join_all(part.iter().map(|n| log.publish(batch(*n, 1)))).await;
        assert!(published.iter().all(Result::is_ok));
    }
    let mut other = log.orders().await.unwrap();
    let mut came = HashSet::new();
    while came.len() < 1000 {
        within(async {
            tokio::select! {
                held = idle.next(1) => came.extend(held.unwrap().iter().map(|held| of(held).id)),
                taken = other.next(1) => {
                    let taken = taken.unwrap();
                    came.extend(taken.iter().map(|taken| of(taken).id));
                    other.ack(taken).await.unwrap();
                }
            }
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_topic_that_moves_away_loses_nothing() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let mut orders = log.orders().await.unwrap();
    for round in 0..3 {
        let first = round * 40 + 1;
        let published = async {
            for n in first..first + 40 {
                log.publish(batch(n, 1)).await.unwrap();
            }
        };
        within(async { tokio::join!(published, namespace.unload("orders")) }).await;
        receive(&mut orders, (first..first + 40).map(id).collect()).await;
    }
    namespace.until_all_is_acknowledged().await;
    log.probe().await.unwrap();
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_feed_whose_topic_moved_away_says_gap_and_goes_on() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let mut feed = log.outcomes().await.unwrap();
    log.publish_outcomes(vec![outcome(1)]).await.unwrap();
    let heard = within(feed.next()).await.unwrap();
    assert_eq!(heard, FeedEvent::Outcomes(vec![outcome(1)].into()));
    namespace.unload("outcomes").await;
    // Until the feed listens again it misses what is said.
    let (mut gap, mut heard) = (false, false);
    within(async {
        while !(gap && heard) {
            log.publish_outcomes(vec![outcome(2)]).await.unwrap();
            let next = tokio::time::timeout(Duration::from_millis(100), feed.next()).await;
            match next.map(Result::unwrap) {
                Ok(FeedEvent::Gap) => gap = true,
                Ok(FeedEvent::Outcomes(_)) => heard = gap,
                Err(_) => {}
            }
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_message_without_orders_of_this_install_does_not_block_the_others() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let client: Pulsar<_> =
        Pulsar::builder(namespace.service(), TokioExecutor).build().await.unwrap();
    let foreign = batch(1, 1).orders().to_vec();
    let foreign = Batch::new(InstallId([8; 16]), id(1), 1, foreign).unwrap();
    for payload in ["no batch at all".to_owned(), String::new(), foreign.to_json()] {
        for partition in 0..4 {
            let topic = namespace.topic(&format!("orders-partition-{partition}"));
            let sent = client.send(topic, payload.clone()).await.unwrap();
            sent.await.unwrap();
        }
    }
    join_all((1..=8).map(|n| log.publish(batch(n, 1)))).await;
    let mut orders = log.orders().await.unwrap();
    let taken = take(&mut orders, ids(8)).await;
    assert!(taken.iter().all(|delivery| of(delivery).install == INSTALL));
    orders.ack(taken).await.unwrap();
    namespace.until_all_is_acknowledged().await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_message_of_outcomes_that_cannot_be_read_is_a_gap() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let mut feed = log.outcomes().await.unwrap();
    let client: Pulsar<_> =
        Pulsar::builder(namespace.service(), TokioExecutor).build().await.unwrap();
    client.send(namespace.topic("outcomes"), "[{}]").await.unwrap().await.unwrap();
    log.publish_outcomes(vec![outcome(1)]).await.unwrap();
    assert_eq!(within(feed.next()).await.unwrap(), FeedEvent::Gap);
    let heard = within(feed.next()).await.unwrap();
    assert_eq!(heard, FeedEvent::Outcomes(vec![outcome(1)].into()));
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_full_log_refuses_at_once_and_takes_again_when_there_is_room() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let published = join_all((1..=1000).map(|n| log.publish(batch(n, 1)))).await;
    let refused: Vec<_> = published.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|refused| matches!(refused, LogError::Full)), "{refused:?}");
    log.publish(batch(1, 1)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn publishing_that_is_given_up_half_way_goes_on_by_itself() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    for n in 1..=20 {
        let given_up = tokio::time::timeout(Duration::ZERO, log.publish(batch(n, 1))).await;
        assert!(given_up.is_err(), "no receipt comes at once");
    }
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, ids(20)).await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn a_message_that_is_too_large_is_refused_and_harms_nobody() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let refused = log.publish(batch(1, 60_000)).await.unwrap_err();
    let LogError::TooLarge { bytes, most } = refused else { panic!("{refused}") };
    assert!(bytes > most && most > 5_000_000);
    let one = batch(2, 1).to_json().len();
    let each = batch(2, 2).to_json().len() - one;
    let largest = batch(2, u16::try_from((most - one) / each + 1).unwrap());
    assert!(largest.to_json().len() > most - each);
    log.publish(largest).await.unwrap();
    let mut orders = log.orders().await.unwrap();
    receive(&mut orders, HashSet::from([id(2)])).await;
}

#[tokio::test]
#[ignore = "needs Pulsar: ./test brings it"]
async fn closing_hands_over_what_was_taken_and_what_was_acknowledged() {
    let namespace = Namespace::migrated().await;
    let log = namespace.open().await;
    let mut orders = log.orders().await.unwrap();
    log.publish(batch(1, 1)).await.unwrap();
    receive(&mut orders, ids(1)).await;
    let publishing = join_all((2..=101).map(|n| log.publish(batch(n, 1))));
    // The publishing is polled first, so everything is on its way when the end comes.
    let (published, ()) = tokio::join!(biased; publishing, log.close());
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    assert!(matches!(log.publish(batch(1, 1)).await, Err(LogError::Unavailable(_))));
    assert!(matches!(log.probe().await, Err(LogError::Unavailable(_))));
    namespace.until(|workers| workers["msgBacklog"] == 100).await;
}
