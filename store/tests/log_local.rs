//! The local log: the contract of every log, and what its bounds add.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "contract/log.rs"]
mod contract;

use store::log::local::LocalLog;
use store::log::{FeedEvent, Log, LogError};

macro_rules! on_channels {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            contract::$name(Log::Local(LocalLog::new())).await;
        }
    )*};
}

every_case!(on_channels);

#[tokio::test]
async fn a_full_log_refuses_at_once_and_takes_again_when_there_is_room() {
    let log = Log::Local(LocalLog::new());
    let refused = loop {
        if let Err(refused) = log.publish(contract::batch(1, 1)).await {
            break refused;
        }
    };
    assert!(matches!(refused, LogError::Full), "{refused}");
    let mut orders = log.orders().await.unwrap();
    orders.next(1).await.unwrap();
    log.publish(contract::batch(1, 1)).await.unwrap();
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
