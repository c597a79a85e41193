//! The log of one process: channels. What a crash drops, the sweeper sends again.

use std::sync::Arc;

use sale::fence::Fence;
use sale::order::{Batch, Message};
use sale::outcome::Outcome;
use tokio::sync::{Mutex, broadcast, mpsc};

use super::{Delivery, FeedEvent, Handle, LogError};

/// Messages that wait for a worker. At the bound one is not taken: a batch stays in the outbox
/// and comes again when it is overdue, and who waits for a fence sends another.
const MESSAGES: usize = 4096;

/// Messages of outcomes that a slow watcher may fall behind. At the bound he misses the oldest
/// and is told so.
const OUTCOMES: usize = 1024;

/// Channels for orders and outcomes.
#[derive(Clone)]
pub struct LocalLog {
    orders: mpsc::Sender<Message>,
    waiting: Arc<Mutex<mpsc::Receiver<Message>>>,
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
        let (orders, waiting) = mpsc::channel(MESSAGES);
        let (outcomes, _) = broadcast::channel(OUTCOMES);
        Self { orders, waiting: Arc::new(Mutex::new(waiting)), outcomes }
    }

    pub(super) fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        self.send(Message::Batch(batch))
    }

    pub(super) fn publish_fence(&self, fence: Fence) -> Result<(), LogError> {
        self.send(Message::Fence(fence))
    }

    fn send(&self, message: Message) -> Result<(), LogError> {
        self.orders.try_send(message).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => LogError::Full,
            mpsc::error::TrySendError::Closed(_) => LogError::Unavailable("it has ended".into()),
        })
    }

    pub(super) fn publish_outcomes(&self, outcomes: Vec<Outcome>) {
        // Nobody listening is no error: outcomes are a hint.
        let _ = self.outcomes.send(Arc::new(outcomes));
    }

    pub(super) fn orders(&self) -> LocalOrders {
        LocalOrders { waiting: self.waiting.clone(), again: self.orders.downgrade() }
    }

    pub(super) fn outcomes(&self) -> LocalFeed {
        LocalFeed { outcomes: self.outcomes.subscribe() }
    }
}

/// Receives orders; several of them take turns.
pub struct LocalOrders {
    waiting: Arc<Mutex<mpsc::Receiver<Message>>>,
    again: mpsc::WeakSender<Message>,
}

impl LocalOrders {
    pub(super) async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, LogError> {
        let mut waiting = self.waiting.lock().await;
        let first =
            waiting.recv().await.ok_or_else(|| LogError::Unavailable("it has ended".into()))?;
        let delivery = |message| Delivery { message, handle: Handle::Local };
        let mut deliveries = vec![delivery(first)];
        let mut orders = deliveries[0].size();
        while orders < most
            && let Ok(message) = waiting.try_recv()
        {
            let next = delivery(message);
            orders += next.size();
            deliveries.push(next);
        }
        Ok(deliveries)
    }

    /// A batch comes again by the sweeper, from the outbox; a fence stands nowhere else.
    pub(super) fn nack(&self, deliveries: Vec<Delivery>) {
        let Some(again) = self.again.upgrade() else { return };
        for delivery in deliveries {
            match delivery.message {
                Message::Batch(_) => {}
                Message::Fence(_) => drop(again.try_send(delivery.message)),
            }
        }
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
