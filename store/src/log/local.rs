//! The log of one process: channels. What a crash drops, the sweeper sends again.

use std::sync::Arc;

use sale::order::Batch;
use sale::outcome::Outcome;
use tokio::sync::{Mutex, broadcast, mpsc};

use super::{Delivery, FeedEvent, Handle, LogError};

/// Batches that wait for a worker. At the bound a batch is not taken; it stays in the outbox
/// and comes again when it is overdue.
const BATCHES: usize = 4096;

/// Messages of outcomes that a slow watcher may fall behind. At the bound he misses the oldest
/// and is told so.
const OUTCOMES: usize = 1024;

/// Channels for orders and outcomes.
#[derive(Clone)]
pub struct LocalLog {
    orders: mpsc::Sender<Arc<Batch>>,
    waiting: Arc<Mutex<mpsc::Receiver<Arc<Batch>>>>,
    outcomes: broadcast::Sender<Arc<Vec<Outcome>>>,
}

impl Default for LocalLog {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalLog {
    /// An empty log.
    pub fn new() -> Self {
        let (orders, waiting) = mpsc::channel(BATCHES);
        let (outcomes, _) = broadcast::channel(OUTCOMES);
        Self { orders, waiting: Arc::new(Mutex::new(waiting)), outcomes }
    }

    pub(super) fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        self.orders.try_send(batch).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => LogError::Full,
            mpsc::error::TrySendError::Closed(_) => LogError::Unavailable("it has ended".into()),
        })
    }

    pub(super) fn publish_outcomes(&self, outcomes: Vec<Outcome>) {
        // Nobody listening is no error: outcomes are a hint.
        let _ = self.outcomes.send(Arc::new(outcomes));
    }

    pub(super) fn orders(&self) -> LocalOrders {
        LocalOrders { waiting: self.waiting.clone() }
    }

    pub(super) fn outcomes(&self) -> LocalFeed {
        LocalFeed { outcomes: self.outcomes.subscribe() }
    }
}

/// Receives orders; several of them take turns.
pub struct LocalOrders {
    waiting: Arc<Mutex<mpsc::Receiver<Arc<Batch>>>>,
}

impl LocalOrders {
    pub(super) async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        let mut waiting = self.waiting.lock().await;
        let first =
            waiting.recv().await.ok_or_else(|| LogError::Unavailable("it has ended".into()))?;
        let mut orders = first.orders().len();
        let mut deliveries = vec![Delivery { batch: first, handle: Handle::Local }];
        while orders < most
            && let Ok(batch) = waiting.try_recv()
        {
            orders += batch.orders().len();
            deliveries.push(Delivery { batch, handle: Handle::Local });
        }
        Ok(deliveries)
    }
}

/// Receives outcomes.
pub struct LocalFeed {
    outcomes: broadcast::Receiver<Arc<Vec<Outcome>>>,
}

impl LocalFeed {
    pub(super) async fn next(&mut self) -> Result<FeedEvent, LogError> {
        match self.outcomes.recv().await {
            Ok(outcomes) => Ok(FeedEvent::Outcomes(outcomes)),
            Err(broadcast::error::RecvError::Lagged(_)) => Ok(FeedEvent::Gap),
            Err(broadcast::error::RecvError::Closed) => {
                Err(LogError::Unavailable("it has ended".into()))
            }
        }
    }
}
