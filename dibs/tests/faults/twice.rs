//! Messages that are delivered again.

use std::pin::pin;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::deployment::{Crew, Deployment};
use crate::install::Sql;
use crate::load::Load;
use crate::topic::{Topic, until_acknowledged};

#[tokio::test]
#[ignore = "needs Redis, Pulsar and MySQL: ./test brings them"]
async fn orders_that_come_again_before_and_after_their_verdict_are_decided_once() {
    let deployment = Deployment::start(Sql::MySql, Crew::TWO_EACH).await;
    let (done, mut copying) = (CancellationToken::new(), JoinSet::new());
    copying.spawn(copy(Topic::of(&deployment.install).await, done.clone()));
    let mut load = Load::begin(&deployment).await;
    for _ in 0..3 {
        load.goes_on().await;
    }
    let told = load.end(&deployment).await;
    done.cancel();
    let (mut topic, messages) = copying.join_next().await.unwrap().unwrap();

    let orders = deployment.install.number("SELECT COUNT(*) FROM orders").await;
    assert!(!messages.is_empty());
    for message in messages {
        topic.publish(message).await;
    }
    until_acknowledged(&deployment.install).await;
    told.check(&deployment).await;
    assert_eq!(deployment.install.number("SELECT COUNT(*) FROM orders").await, orders);
}

/// Publishes each message twice more as soon as it comes, so that both workers get it while it
/// is being decided.
async fn copy(mut topic: Topic, done: CancellationToken) -> (Topic, Vec<Vec<u8>>) {
    let mut messages = Vec::new();
    let mut done = pin!(done.cancelled());
    loop {
        let message = tokio::select! {
            message = topic.next() => message,
            () = &mut done => return (topic, messages),
        };
        topic.publish(message.clone()).await;
        topic.publish(message.clone()).await;
        messages.push(message);
    }
}
