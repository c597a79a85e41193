//! The publisher: hands granted batches over to the log, without making the buyer wait.
//!
//! Nothing rests on it: what it drops stands in the gate's outbox, and the sweeper sends it.

use std::sync::Arc;
use std::time::Duration;

use sale::order::Batch;
use store::gate::Gate;
use store::log::{Log, LogError};
use store::stage::{self, Stage};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metric;

/// The way into the publisher's queue.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Arc<Batch>>,
}

impl Publisher {
    /// A queue of `bound` batches, and what works on it.
    pub fn new(bound: usize) -> (Self, mpsc::Receiver<Arc<Batch>>) {
        let (queue, waiting) = mpsc::channel(bound.max(1));
        (Self { queue }, waiting)
    }

    /// Queues a batch. With a full queue it is left to the sweeper.
    pub(crate) fn hand_over(&self, batch: Arc<Batch>) {
        if self.queue.try_send(batch).is_err() {
            metric::left_to_the_sweeper();
        }
    }
}

/// The log, with the time that it has for one batch.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) log: Log,
    pub(crate) within: Duration,
    /// Its clock times what is published.
    pub(crate) gate: Gate,
}

impl Outlet {
    /// Publishes one batch.
    pub(crate) async fn publish(&self, batch: Arc<Batch>) -> Result<(), LogError> {
        let begun = Instant::now();
        let publish = tokio::time::timeout(self.within, self.log.publish(batch.clone()));
        let published = publish
            .await
            .unwrap_or_else(|_| Err(LogError::Unavailable("it did not answer in time".into())));
        metric::published(&published, begun.elapsed());
        if published.is_ok() {
            stage::reached(Stage::Published, &batch, self.gate.now());
        }
        published
    }
}

/// Publishes what is queued until `end` fires, at most `most` batches at a time; then what is
/// left, as long as the log takes it.
pub(crate) async fn run(
    outlet: Outlet,
    mut waiting: mpsc::Receiver<Arc<Batch>>,
    most: usize,
    end: CancellationToken,
) {
    let mut publishing = JoinSet::new();
    let mut log_takes_them = true;
    loop {
        while publishing.len() >= most.max(1)
            && let Some(published) = publishing.join_next().await
        {
            log_takes_them = published.unwrap_or(false);
        }
        while let Some(published) = publishing.try_join_next() {
            log_takes_them = published.unwrap_or(false);
        }
        if end.is_cancelled() && !log_takes_them {
            break;
        }
        let batch = tokio::select! {
            batch = waiting.recv() => batch,
            () = end.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some(batch) = batch else { break };
        metric::waiting(waiting.len());
        publishing.spawn(publish(outlet.clone(), batch));
    }
    while publishing.join_next().await.is_some() {}
}

/// Answers whether the log took it.
async fn publish(outlet: Outlet, batch: Arc<Batch>) -> bool {
    let published = outlet.publish(batch).await;
    if let Err(error) = &published {
        metric::left_to_the_sweeper();
        tracing::debug!(%error, "a batch is left to the sweeper");
    }
    published.is_ok()
}

#[cfg(test)]
mod tests;
