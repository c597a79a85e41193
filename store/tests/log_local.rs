//! The local log: the contract of every log, and what its bounds add.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "contract/log.rs"]
mod contract;

use std::sync::Arc;

use sale::id::{BatchId, BuyerId, InstallId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::time::Timestamp;
use sale::units::Units;
use store::log::local::LocalLog;
use store::log::{FeedEvent, Log, LogError};

macro_rules! contract {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            contract::$name(Log::Local(LocalLog::new())).await;
        }
    )*};
}

contract!(
    a_batch_comes_as_it_was_published,
    batches_wait_for_a_consumer,
    a_take_is_bounded_and_leaves_the_rest,
    consumers_share_the_work,
    a_wait_that_is_dropped_loses_nothing,
    every_feed_hears_every_outcome,
    outcomes_without_a_watcher_are_no_fault,
);

fn batch() -> Arc<Batch> {
    let order = OrderV1 {
        ticket: TicketId([1; 16]),
        buyer: BuyerId::new("ada").unwrap(),
        units: Units::ONE,
        granted_at: Timestamp::from_millis(0).unwrap(),
        incarnation: 1,
    };
    Arc::new(Batch::new(InstallId([1; 16]), BatchId([1; 16]), 1, vec![order]).unwrap())
}

#[tokio::test]
async fn a_full_log_refuses_at_once_and_takes_again_when_there_is_room() {
    let log = Log::Local(LocalLog::new());
    let refused = loop {
        if let Err(refused) = log.publish(batch()).await {
            break refused;
        }
    };
    assert!(matches!(refused, LogError::Full), "{refused}");
    let mut orders = log.orders().await.unwrap();
    orders.next(1).await.unwrap();
    log.publish(batch()).await.unwrap();
}

#[tokio::test]
async fn a_feed_that_falls_behind_is_told_of_the_gap_and_goes_on() {
    let log = Log::Local(LocalLog::new());
    let mut feed = log.outcomes().await.unwrap();
    for _ in 0..2000 {
        log.publish_outcomes(vec![]).await.unwrap();
    }
    assert_eq!(feed.next().await.unwrap(), FeedEvent::Gap);
    assert!(matches!(feed.next().await.unwrap(), FeedEvent::Outcomes(_)));
}
