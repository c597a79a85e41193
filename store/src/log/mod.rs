//! The log: hands orders to the worker and outcomes to the watchers, at least once.
//!
//! A published batch may be lost in a crash: it stays in the gate's outbox until it is decided,
//! and the sweeper publishes it again. So may a fence: who waits for it sends another. Outcomes
//! are a hint: who misses one reads again.

pub mod local;
pub mod pulsar;

use std::sync::Arc;

use sale::fence::Fence;
use sale::id::{InstallId, RoundId};
use sale::order::Batch;
pub use sale::order::Message;
use sale::outcome::Outcome;

use local::{LocalFeed, LocalLog, LocalOrders};
use pulsar::{PulsarFeed, PulsarLog, PulsarOrders};

/// The log, on one of its engines.
#[derive(Clone)]
pub enum Log {
    /// Channels of this process.
    Local(LocalLog),
    /// Topics of a Pulsar that every process reaches.
    Pulsar(PulsarLog),
}

/// Why the log did not take or give a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// It holds as much as it may; what was to be published is published again by the sweeper.
    #[error("the log is full")]
    Full,
    /// The message is larger than it can carry, today and later.
    #[error("a message of {bytes} bytes is larger than the {most} bytes that the log carries")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        most: usize,
    },
    /// It cannot be reached, or has ended.
    #[error("the log is not available: {0}")]
    Unavailable(String),
}

/// The most partitions that a topic of orders may have: the ledger keeps a bit for the fence of
/// each.
pub const PARTITIONS_MOST: u8 = 63;

/// A message as it was delivered; acknowledged once everything is done for it.
#[derive(Debug)]
pub struct Delivery {
    /// What was published.
    pub message: Message,
    handle: Handle,
}

impl Delivery {
    /// The batch, if it is one.
    pub fn batch(&self) -> Option<&Arc<Batch>> {
        match &self.message {
            Message::Batch(batch) => Some(batch),
            Message::Fence(_) => None,
        }
    }

    /// The fence, if it is one.
    pub fn fence(&self) -> Option<&Fence> {
        match &self.message {
            Message::Batch(_) => None,
            Message::Fence(fence) => Some(fence),
        }
    }

    /// What it counts for in a take: its orders, and a fence as one of them.
    fn size(&self) -> usize {
        self.batch().map_or(1, |batch| batch.orders().len())
    }
}

/// What acknowledges a delivery.
#[derive(Debug)]
enum Handle {
    /// Nothing has to be said.
    Local,
    /// A message of a topic.
    Pulsar(pulsar::Handle),
}

/// What the feed of outcomes says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// These versions were decided.
    Outcomes(Arc<Vec<Outcome>>),
    /// Some outcomes were missed; what is watched is read again in time.
    Gap,
}

impl Log {
    /// Hands a batch over to the workers. `Ok` means that the log has taken it.
    pub async fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        match self {
            Self::Local(log) => log.publish(batch),
            Self::Pulsar(log) => log.publish(batch).await,
        }
    }

    /// Partitions of the topic of orders: each is a way of its own, and has an order of its own.
    pub fn partitions(&self) -> u8 {
        match self {
            Self::Local(_) => 1,
            Self::Pulsar(log) => log.partitions(),
        }
    }

    /// Sends a fence through every partition. `Ok` means that the log has taken all of them.
    pub async fn publish_fence(
        &self,
        install: InstallId,
        round: RoundId,
        incarnation: u32,
    ) -> Result<(), LogError> {
        let fence = |partition| Fence { install, round, incarnation, partition };
        match self {
            Self::Local(log) => log.publish_fence(fence(0)),
            Self::Pulsar(log) => log.publish_fences(fence).await,
        }
    }

    /// Tells all watchers.
    pub async fn publish_outcomes(&self, outcomes: Vec<Outcome>) -> Result<(), LogError> {
        match self {
            Self::Local(log) => {
                log.publish_outcomes(outcomes);
                Ok(())
            }
            Self::Pulsar(log) => log.publish_outcomes(outcomes).await,
        }
    }

    /// Starts to receive orders. Several consumers share the work.
    pub async fn orders(&self) -> Result<Orders, LogError> {
        match self {
            Self::Local(log) => Ok(Orders::Local(log.orders())),
            Self::Pulsar(log) => Ok(Orders::Pulsar(log.orders().await?)),
        }
    }

    /// Starts to receive every outcome published from now on.
    pub async fn outcomes(&self) -> Result<Feed, LogError> {
        match self {
            Self::Local(log) => Ok(Feed::Local(log.outcomes())),
            Self::Pulsar(log) => Ok(Feed::Pulsar(Box::new(log.outcomes().await?))),
        }
    }

    /// Whether the log can be reached.
    pub async fn probe(&self) -> Result<(), LogError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Pulsar(log) => log.probe().await,
        }
    }

    /// Ends the connections; what was taken is handed over first.
    pub async fn close(&self) {
        match self {
            Self::Local(_) => {}
            Self::Pulsar(log) => log.close().await,
        }
    }
}

/// Receives orders.
pub enum Orders {
    /// From this process.
    Local(LocalOrders),
    /// From a topic.
    Pulsar(PulsarOrders),
}

impl Orders {
    /// Waits for the next message and takes what else is there, until `most` orders are
    /// together or nothing is left; at least one message. Cancel safe: nothing is lost by
    /// dropping the future.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        match self {
            Self::Local(orders) => orders.next(most).await,
            Self::Pulsar(orders) => orders.next(most).await,
        }
    }

    /// Says that all is done for these: ledger, gate and outcomes.
    pub async fn ack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        match self {
            Self::Local(_) => {
                drop(deliveries);
                Ok(())
            }
            Self::Pulsar(orders) => {
                orders.ack(deliveries);
                Ok(())
            }
        }
    }

    /// Gives these back, to be delivered again later.
    pub async fn nack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        match self {
            Self::Local(orders) => {
                orders.nack(deliveries);
                Ok(())
            }
            Self::Pulsar(orders) => {
                orders.nack(deliveries);
                Ok(())
            }
        }
    }
}

/// Receives outcomes.
pub enum Feed {
    /// From this process.
    Local(LocalFeed),
    /// From a topic.
    Pulsar(Box<PulsarFeed>),
}

impl Feed {
    /// Waits for the next outcomes. Cancel safe.
    pub async fn next(&mut self) -> Result<FeedEvent, LogError> {
        match self {
            Self::Local(feed) => feed.next().await,
            Self::Pulsar(feed) => feed.next().await,
        }
    }
}
