//! The publisher: hands granted batches over to the log, without making the buyer wait.
//!
//! Nothing rests on it: what it drops stands in the gate's outbox, and the sweeper sends it.

use std::sync::Arc;
use std::time::Duration;

use sale::order::Batch;
use store::log::{Log, LogError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The way into the publisher's queue.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Arc<Batch>>,
}

impl Publisher {
    /// A queue of `bound` batches, and what works on it.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::Receiver<Arc<Batch>>) {
        let (queue, waiting) = mpsc::channel(bound.max(1));
        (Self { queue }, waiting)
    }

    /// Queues a batch. With a full queue it is left to the sweeper.
    pub(crate) fn hand_over(&self, batch: Arc<Batch>) {
        if self.queue.try_send(batch).is_err() {
            metrics::counter!("dibs_batches_left_to_the_sweeper_total").increment(1);
        }
    }
}

/// Publishes what is queued until `end` fires, and then what is left.
pub(crate) async fn run(
    log: Log,
    mut waiting: mpsc::Receiver<Arc<Batch>>,
    within: Duration,
    end: CancellationToken,
) {
    loop {
        let batch = tokio::select! {
            batch = waiting.recv() => batch,
            () = end.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some(batch) = batch else { return };
        if let Err(error) = publish(&log, batch, within).await {
            metrics::counter!("dibs_batches_left_to_the_sweeper_total").increment(1);
            tracing::debug!(%error, "a batch is left to the sweeper");
        }
    }
}

/// Publishes one batch.
pub(crate) async fn publish(
    log: &Log,
    batch: Arc<Batch>,
    within: Duration,
) -> Result<(), LogError> {
    match tokio::time::timeout(within, log.publish(batch)).await {
        Ok(published) => published,
        Err(_) => Err(LogError::Unavailable("it did not answer in time".into())),
    }
}
