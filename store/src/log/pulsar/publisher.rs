//! Publishes messages, and knows of each whether the broker has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pulsar::error::{ConnectionError, ProducerError};
use pulsar::{Producer, ProducerOptions, TokioExecutor};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::client::{Client, IN_FLIGHT, in_time, unavailable};
use crate::log::LogError;

/// The largest message: what a broker takes by default, less its room for metadata. A larger one
/// would cost the connection, and with it everything in flight.
const LARGEST: usize = 5 * 1024 * 1024 - 10 * 1024;

/// To wait for others that use the same producer: they hold it for moments, unless it is just
/// being set up again.
const TURN: Duration = Duration::from_secs(10);

/// After a producer could not be set up; until then its partition refuses at once.
const SET_UP_AGAIN: Duration = Duration::from_secs(1);

/// Publishes to one topic. Clones share its producers.
#[derive(Clone)]
pub(super) struct Publisher(Arc<Inner>);

struct Inner {
    client: Client,
    tasks: TaskTracker,
    partitions: Vec<Partition>,
    turn: AtomicUsize,
    room: Arc<Semaphore>,
}

/// A topic or one of its partitions. Each has a lock of its own: while one is being set up
/// again, the others go on.
struct Partition {
    topic: String,
    state: Mutex<State>,
}

enum State {
    Idle,
    Up(Box<Producer<TokioExecutor>>),
    Down { until: Instant, error: LogError },
}

impl Publisher {
    /// One producer for each of the topics, which are the partitions of one.
    pub(super) fn new(client: Client, tasks: TaskTracker, topics: &[String]) -> Self {
        let partition =
            |topic: &String| Partition { topic: topic.clone(), state: Mutex::new(State::Idle) };
        Self(Arc::new(Inner {
            client,
            tasks,
            partitions: topics.iter().map(partition).collect(),
            turn: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
        }))
    }

    /// Publishes one message, and waits until the broker has it. At the bound it refuses at
    /// once.
    pub(super) async fn publish(&self, payload: Vec<u8>) -> Result<(), LogError> {
        // In turn, without a key: nothing rests on the order of orders.
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        self.publish_to(turn % self.0.partitions.len(), payload).await
    }

    /// The same to the partition of this index, which is one of those it was made with.
    pub(super) async fn publish_to(
        &self,
        partition: usize,
        payload: Vec<u8>,
    ) -> Result<(), LogError> {
        if payload.len() > LARGEST {
            return Err(LogError::TooLarge { bytes: payload.len(), most: LARGEST });
        }
        let room = self.0.room.clone().try_acquire_owned().map_err(|_| LogError::Full)?;
        let inner = self.0.clone();
        // A caller may give up, but the message keeps its place until the broker has answered:
        // the crate holds any number of messages without a receipt.
        let sent = self.0.tasks.spawn(async move {
            let _room = room;
            inner.send(&inner.partitions[partition], payload).await
        });
        sent.await.map_err(|end| LogError::Unavailable(end.to_string()))?
    }

    /// Sets every producer up if need be, and asks the broker for its topic.
    ///
    /// The crate's own check sends a ping; two of them at once on a connection, or one beside
    /// the keep-alive, and it takes the connection for dead.
    pub(super) async fn probe(&self) -> Result<(), LogError> {
        for partition in &self.0.partitions {
            self.0.up(partition, &mut *partition.turn().await?).await?;
            let (client, topic) = (self.0.client.clone(), partition.topic.clone());
            in_time(&self.0.tasks, async move { client.lookup_topic(topic).await }).await?;
        }
        Ok(())
    }

    /// Closes the producers. Whatever has no receipt by then is lost to the log, so it comes
    /// after the end of all tasks that publish.
    pub(super) async fn close(&self) {
        for partition in &self.0.partitions {
            let Ok(mut state) = partition.turn().await else { continue };
            if let State::Up(mut producer) = std::mem::replace(&mut *state, State::Idle)
                && let Err(error) = producer.close().await
            {
                tracing::debug!(topic = partition.topic, %error, "a producer was not closed");
            }
        }
    }
}

impl Inner {
    async fn send(&self, partition: &Partition, payload: Vec<u8>) -> Result<(), LogError> {
        let receipt = {
            let mut state = partition.turn().await?;
            let sent = self.up(partition, &mut state).await?.send_non_blocking(payload).await;
            match sent {
                Ok(receipt) => receipt,
                Err(pulsar::Error::Producer(ProducerError::Connection(
                    ConnectionError::SlowDown,
                ))) => return Err(LogError::Full),
                // The crate has tried to set it up again by itself.
                Err(error) => return Err(state.fail(unavailable(error))),
            }
        };
        // While this waits, the crate sends it again over a connection or producer that broke.
        receipt.await.map(drop).map_err(unavailable)
    }

    /// The partition's producer, set up if there is none.
    async fn up<'a>(
        &self,
        partition: &Partition,
        state: &'a mut State,
    ) -> Result<&'a mut Producer<TokioExecutor>, LogError> {
        match state {
            State::Down { until, error } if Instant::now() < *until => return Err(error.clone()),
            State::Down { .. } | State::Idle => {
                let set_up = set_up(self.client.clone(), partition.topic.clone());
                match in_time(&self.tasks, set_up).await {
                    Ok(producer) => *state = State::Up(Box::new(producer)),
                    Err(error) => return Err(state.fail(error)),
                }
            }
            State::Up(_) => {}
        }
        match state {
            State::Up(producer) => Ok(producer),
            State::Idle | State::Down { .. } => unreachable!("it was set up just above"),
        }
    }
}

/// Without batching: a batch of the crate's is acknowledged as a whole with any of its messages,
/// forgets key and delay of each, waits for its timer, and is lost by closing. The name is the
/// broker's choice: sequence numbers start at 0 with every producer, so a name of ours would
/// look like a sender of the past where messages are deduplicated.
async fn set_up(client: Client, topic: String) -> Result<Producer<TokioExecutor>, pulsar::Error> {
    let options = ProducerOptions { batch_size: None, ..ProducerOptions::default() };
    client.producer().with_topic(topic).with_options(options).build().await
}

impl Partition {
    async fn turn(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let late = |_| LogError::Unavailable("the producer is being set up again".to_owned());
        timeout(TURN, self.state.lock()).await.map_err(late)
    }
}

impl State {
    fn fail(&mut self, error: LogError) -> LogError {
        *self = Self::Down { until: Instant::now() + SET_UP_AGAIN, error: error.clone() };
        error
    }
}
