//! Receives all outcomes, from the moment of listening: a hint, so nothing is kept for whoever
//! is away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use pulsar::consumer::{InitialPosition, Message};
use pulsar::message::proto::MessageIdData;
use pulsar::{Consumer, ConsumerOptions, SubType, TokioExecutor};
use sale::outcome::Outcome;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::client::{Client, in_time};
use crate::log::{FeedEvent, LogError};

/// Messages ahead of a slow watcher. At the bound they wait at the broker, which may drop them;
/// then the watcher is told of a gap.
const QUEUE: u32 = 128;

/// Before a feed that failed is set up again.
const SET_UP_AGAIN: Duration = Duration::from_millis(100);

type Receiver = Consumer<Vec<u8>, TokioExecutor>;

/// Receives outcomes.
pub struct PulsarFeed {
    client: Client,
    topic: String,
    tasks: TaskTracker,
    consumer: Option<Receiver>,
    last: Option<MessageIdData>,
    /// Heard and not yet said: at most a gap and the outcomes after it.
    heard: VecDeque<FeedEvent>,
}

/// A subscription of its own that ends with its consumer. It keeps no position, so nothing is
/// acknowledged.
async fn subscribe(client: Client, topic: String) -> Result<Receiver, pulsar::Error> {
    let options = ConsumerOptions::default()
        .durable(false)
        .with_initial_position(InitialPosition::Latest)
        .with_receiver_queue_size(QUEUE);
    client
        .consumer()
        .with_topic(topic)
        .with_subscription(format!("push-{:016x}", rand::random::<u64>()))
        .with_subscription_type(SubType::Exclusive)
        .with_batch_size(QUEUE)
        .with_options(options)
        .build()
        .await
}

impl PulsarFeed {
    pub(super) async fn open(
        client: &Client,
        topic: &str,
        tasks: &TaskTracker,
    ) -> Result<Self, LogError> {
        let consumer = in_time(tasks, subscribe(client.clone(), topic.to_owned())).await?;
        Ok(Self {
            client: client.clone(),
            topic: topic.to_owned(),
            tasks: tasks.clone(),
            consumer: Some(consumer),
            last: None,
            heard: VecDeque::new(),
        })
    }

    /// Cancel safe: whatever was received stands in `heard` before anything else is awaited.
    pub(in crate::log) async fn next(&mut self) -> Result<FeedEvent, LogError> {
        loop {
            if let Some(event) = self.heard.pop_front() {
                return Ok(event);
            }
            let Some(consumer) = &mut self.consumer else {
                self.set_up_again().await?;
                return Ok(FeedEvent::Gap);
            };
            let why = match consumer.next().await {
                Some(Ok(message)) => {
                    self.hear(&message);
                    continue;
                }
                // After an error nothing may come any more, without a word.
                Some(Err(error)) => error.to_string(),
                None => "the consumer ended".to_owned(),
            };
            tracing::warn!(topic = self.topic, error = why, "a feed of outcomes failed");
            self.consumer = None;
        }
    }

    async fn set_up_again(&mut self) -> Result<(), LogError> {
        sleep(SET_UP_AGAIN).await;
        let subscribe = subscribe(self.client.clone(), self.topic.clone());
        self.consumer = Some(in_time(&self.tasks, subscribe).await?);
        self.last = None;
        Ok(())
    }

    /// The crate connects again by itself and says nothing, and then it begins with the latest
    /// message: what came meanwhile is missed. The ids tell.
    fn hear(&mut self, message: &Message<Vec<u8>>) {
        let id = message.message_id();
        let outcomes = serde_json::from_slice::<Vec<Outcome>>(&message.payload.data);
        let missed = self.last.as_ref().is_some_and(|last| !follows(id, last));
        if missed || outcomes.is_err() {
            self.heard.push_back(FeedEvent::Gap);
        }
        match outcomes {
            Ok(outcomes) => self.heard.push_back(FeedEvent::Outcomes(Arc::new(outcomes))),
            Err(_) => tracing::error!(
                topic = self.topic,
                ledger = id.ledger_id,
                entry = id.entry_id,
                bytes = message.payload.data.len(),
                "dropped a message that holds no outcomes of a known version"
            ),
        }
        self.last = Some(id.clone());
    }
}

/// Whether nothing can have come between. Where the broker began another ledger it cannot be
/// told; that is seldom, and a gap said in vain costs one read.
fn follows(id: &MessageIdData, last: &MessageIdData) -> bool {
    id.ledger_id == last.ledger_id && id.entry_id == last.entry_id + 1
}
