//! One partition of `orders` as one worker consumes it: a task that owns the consumer, and sets
//! it up again whenever it fails.
//!
//! The crate's consumer of several partitions hides what fails in one of them, and takes it up
//! again half a minute later; so each partition has its own, whose failures are seen.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use pulsar::consumer::{InitialPosition, Message};
use pulsar::error::ConsumerError;
use pulsar::message::proto::MessageIdData;
use pulsar::{Consumer, ConsumerOptions, SubType, TokioExecutor};
use sale::id::InstallId;
use sale::order;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Client, in_time};
use super::orders::Handle;
use crate::log::{self, Delivery};

/// The durable subscription that all workers share.
pub(super) const WORKERS: &str = "workers";

/// Messages of a partition that one consumer may hold unacknowledged: a policy of the namespace,
/// kept by the broker, which leaves the rest to other workers.
pub(super) const UNACKED: u32 = 128;

/// What the crate's queue holds: more than can be unacknowledged, so that it never fills. Behind
/// a full one acknowledgements would wait.
const QUEUE: u32 = 4 * UNACKED;

/// Commands that wait for the task. At the bound a command is dropped; its message comes again.
pub(super) const COMMANDS: usize = 16 * UNACKED as usize;

/// Until what was given back is asked for again. The crate asks at once, which would be a hot
/// loop, so it is told late.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Bounds of the wait before a consumer that failed is set up again.
const SET_UP_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// To take leave of the broker.
const CLOSE: Duration = Duration::from_secs(5);

type Receiver = Consumer<Vec<u8>, TokioExecutor>;

/// What a worker says of a message.
pub(super) enum Command {
    Ack(MessageIdData),
    GiveBack(MessageIdData),
}

/// The task and what it needs. It ends when its receiver is dropped or the log closes.
pub(super) struct Partition {
    pub(super) index: usize,
    pub(super) topic: String,
    pub(super) install: InstallId,
    pub(super) client: Client,
    pub(super) tasks: TaskTracker,
    pub(super) ending: CancellationToken,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// What was given back, and when it is asked for again. Never more than is unacknowledged.
    pub(super) given_back: VecDeque<(Instant, MessageIdData)>,
}

/// Why a consumer is no longer of use.
enum End {
    /// Nobody wants it any more.
    Unwanted,
    /// It failed.
    Failed(String),
}

impl From<ConsumerError> for End {
    fn from(error: ConsumerError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Joins the workers. The subscription stands since the migration; were it gone, it would begin
/// with what is there.
///
/// The crate's own redelivery of what stays unacknowledged is left off: with it a dropped
/// consumer never ends, and keeps its messages.
pub(super) async fn subscribe(client: Client, topic: String) -> Result<Receiver, pulsar::Error> {
    let options = ConsumerOptions::default()
        .with_initial_position(InitialPosition::Earliest)
        .with_receiver_queue_size(QUEUE);
    client
        .consumer()
        .with_topic(topic)
        .with_subscription(WORKERS)
        .with_subscription_type(SubType::Shared)
        .with_batch_size(UNACKED)
        .with_unacked_message_resend_delay(None)
        .with_options(options)
        .build()
        .await
}

impl Partition {
    pub(super) async fn run(mut self, mut consumer: Receiver) {
        loop {
            match self.serve(&mut consumer).await {
                End::Unwanted => return self.close(consumer).await,
                End::Failed(error) => {
                    tracing::warn!(topic = self.topic, error, "a consumer of orders failed");
                }
            }
            // Dropping closes it, in the background. The broker then delivers again whatever it
            // had not acknowledged, also what was given back.
            drop(consumer);
            self.given_back.clear();
            match self.set_up_again().await {
                Some(fresh) => consumer = fresh,
                None => return,
            }
        }
    }

    async fn serve(&mut self, consumer: &mut Receiver) -> End {
        loop {
            let again = self.given_back.front().map_or_else(Instant::now, |(due, _)| *due);
            let done = tokio::select! {
                biased;
                () = self.ending.cancelled() => Err(End::Unwanted),
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(consumer, command).await,
                    None => Err(End::Unwanted),
                },
                () = sleep_until(again), if !self.given_back.is_empty() => {
                    self.ask_again(consumer).await
                }
                message = consumer.next() => self.receive(consumer, message).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Of one message alone: the publisher sends every batch of orders as a message of its own,
    /// because acknowledging a part of a batch of messages acknowledges all of it.
    async fn obey(&mut self, consumer: &mut Receiver, command: Command) -> Result<(), End> {
        match command {
            Command::Ack(message) => Ok(consumer.ack_with_id(&self.topic, message).await?),
            Command::GiveBack(message) => {
                self.given_back.push_back((Instant::now() + AGAIN_AFTER, message));
                Ok(())
            }
        }
    }

    async fn ask_again(&mut self, consumer: &mut Receiver) -> Result<(), End> {
        if let Some((_, message)) = self.given_back.pop_front() {
            consumer.nack_with_id(&self.topic, message).await?;
        }
        Ok(())
    }

    async fn receive(
        &self,
        consumer: &mut Receiver,
        message: Option<Result<Message<Vec<u8>>, pulsar::Error>>,
    ) -> Result<(), End> {
        match message {
            Some(Ok(message)) => match self.read(&message) {
                Some(delivery) => self.deliver(delivery).await,
                None => Ok(consumer.ack(&message).await?),
            },
            // Compressed by somebody else. The crate does not say which it was, so it cannot be
            // acknowledged; it stays where it is, and the others go on.
            Some(Err(pulsar::Error::Consumer(ConsumerError::Io(_)))) => {
                tracing::error!(topic = self.topic, "a compressed message was left");
                Ok(())
            }
            // After any other error nothing may come any more, without a word.
            Some(Err(error)) => Err(End::Failed(error.to_string())),
            None => Err(End::Failed("the consumer ended".to_owned())),
        }
    }

    /// Waits for room only if the policy on unacknowledged messages is gone.
    async fn deliver(&self, delivery: Delivery) -> Result<(), End> {
        tokio::select! {
            sent = self.deliveries.send(delivery) => sent.map_err(|_| End::Unwanted),
            () = self.ending.cancelled() => Err(End::Unwanted),
        }
    }

    /// What a message delivers; `None` if it can never be worked on and must not block the
    /// others.
    fn read(&self, message: &Message<Vec<u8>>) -> Option<Delivery> {
        let id = message.message_id();
        let carried = match order::Message::from_json(&message.payload.data) {
            Ok(carried) if carried.install() == self.install => carried,
            refused => {
                // Never what the message holds: it may name buyers.
                tracing::error!(
                    topic = self.topic,
                    ledger = id.ledger_id,
                    entry = id.entry_id,
                    bytes = message.payload.data.len(),
                    foreign = refused.is_ok(),
                    "dropped a message that holds nothing of this install"
                );
                return None;
            }
        };
        let handle = Handle { partition: self.index, message: id.clone() };
        Some(Delivery { message: carried, handle: log::Handle::Pulsar(handle) })
    }

    async fn set_up_again(&self) -> Option<Receiver> {
        let (mut wait, longest) = SET_UP_AGAIN;
        loop {
            tokio::select! {
                () = self.ending.cancelled() => return None,
                () = self.deliveries.closed() => return None,
                () = sleep(wait.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
            let set_up = subscribe(self.client.clone(), self.topic.clone());
            match in_time(&self.tasks, set_up).await {
                Ok(consumer) => {
                    tracing::info!(topic = self.topic, "orders are received again");
                    return Some(consumer);
                }
                Err(error) => {
                    tracing::warn!(topic = self.topic, %error, "orders are not received");
                }
            }
            wait = (wait * 2).min(longest);
        }
    }

    /// Commands that came before the end are obeyed; then the broker is told, so that it
    /// delivers the rest to others at once.
    async fn close(mut self, mut consumer: Receiver) {
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if self.obey(&mut consumer, command).await.is_err() {
                return;
            }
        }
        let closed = timeout(CLOSE, consumer.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::debug!(topic = self.topic, "a consumer was not closed");
        }
    }
}
