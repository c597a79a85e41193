//! The log: hands orders to the worker and outcomes to the watchers, at least once.
//!
//! A published batch may be lost in a crash: it stays in the gate's outbox until it is decided,
//! and the sweeper publishes it again. Outcomes are a hint: who misses one reads again.

pub mod local;

use std::sync::Arc;

use sale::order::Batch;
use sale::outcome::Outcome;

use local::{LocalFeed, LocalLog, LocalOrders};

/// The log, on one of its engines.
#[derive(Clone)]
pub enum Log {
    /// Channels of this process.
    Local(LocalLog),
}

/// Why the log did not take or give a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// It holds as much as it may; what was to be published is published again by the sweeper.
    #[error("the log is full")]
    Full,
    /// It cannot be reached, or has ended.
    #[error("the log is not available: {0}")]
    Unavailable(String),
}

/// A batch as it was delivered; acknowledged once everything is done for it.
#[derive(Debug)]
pub struct Delivery {
    /// What was published.
    pub batch: Arc<Batch>,
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
        }
    }

    /// Tells all watchers.
    pub async fn publish_outcomes(&self, outcomes: Vec<Outcome>) -> Result<(), LogError> {
        match self {
            Self::Local(log) => {
                log.publish_outcomes(outcomes);
                Ok(())
            }
        }
    }

    /// Starts to receive orders. Several consumers share the work.
    pub async fn orders(&self) -> Result<Orders, LogError> {
        match self {
            Self::Local(log) => Ok(Orders::Local(log.orders())),
        }
    }

    /// Starts to receive every outcome published from now on.
    pub async fn outcomes(&self) -> Result<Feed, LogError> {
        match self {
            Self::Local(log) => Ok(Feed::Local(log.outcomes())),
        }
    }

    /// Whether the log can be reached.
    pub async fn probe(&self) -> Result<(), LogError> {
        match self {
            Self::Local(_) => Ok(()),
        }
    }
}

/// Receives orders.
pub enum Orders {
    /// From this process.
    Local(LocalOrders),
}

impl Orders {
    /// Waits for the next batch and takes what else is there, until `most` orders are together
    /// or nothing is left; at least one batch. Cancel safe: nothing is lost by dropping the
    /// future.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        match self {
            Self::Local(orders) => orders.next(most).await,
        }
    }

    /// Says that all is done for these: ledger, gate and outcomes.
    pub async fn ack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        match self {
            Self::Local(_) => {
                drop(deliveries);
                Ok(())
            }
        }
    }

    /// Gives these back, to be delivered again later.
    pub async fn nack(&mut self, deliveries: Vec<Delivery>) -> Result<(), LogError> {
        match self {
            // What stands in the outbox comes again by the sweeper.
            Self::Local(_) => {
                drop(deliveries);
                Ok(())
            }
        }
    }
}

/// Receives outcomes.
pub enum Feed {
    /// From this process.
    Local(LocalFeed),
}

impl Feed {
    /// Waits for the next outcomes. Cancel safe.
    pub async fn next(&mut self) -> Result<FeedEvent, LogError> {
        match self {
            Self::Local(feed) => feed.next().await,
        }
    }
}
