//! Read-repair: an order that gate and ledger have forgotten is brought back by its token.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sale::id::{BatchId, InstallId, TicketId};
use sale::order::{Batch, OrderV1};
use sale::time::Timestamp;
use store::log::Log;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::metric;

/// Tickets that are remembered as published lately. At the bound some are forgotten early and
/// may be published more often, which changes nothing but the work.
const REMEMBERED: u64 = 100_000;

/// Publications in flight. At the bound an order waits for its next turn.
const IN_FLIGHT: usize = 64;

/// How long the log may take to accept an order.
const PUBLISH: Duration = Duration::from_secs(2);

/// Publishes orders again, once a ticket and `resend_after`.
pub(crate) struct Repair {
    log: Log,
    install: InstallId,
    resend_after: Duration,
    lately: Cache<TicketId, ()>,
    in_flight: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Repair {
    pub(crate) fn new(
        log: Log,
        install: InstallId,
        resend_after: Duration,
        tasks: TaskTracker,
    ) -> Self {
        let lately = Cache::builder().max_capacity(REMEMBERED).time_to_live(resend_after).build();
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Self { log, install, resend_after, lately, in_flight, tasks }
    }

    /// Publishes the order of a token that neither gate nor ledger knows, if it is old enough
    /// and its turn has come. The reader does not wait for it.
    pub(crate) fn bring_back(&self, order: &OrderV1, now: Timestamp) {
        if now.since(order.granted_at) <= self.resend_after {
            return;
        }
        let Ok(permit) = self.in_flight.clone().try_acquire_owned() else { return };
        if !self.lately.entry(order.ticket).or_insert(()).is_fresh() {
            return;
        }
        let batch = Batch::new(self.install, BatchId(rand::random()), 0, vec![order.clone()])
            .expect("one order is a batch");
        let (log, ticket) = (self.log.clone(), order.ticket);
        self.tasks.spawn(async move {
            let published = tokio::time::timeout(PUBLISH, log.publish(Arc::new(batch))).await;
            let published = matches!(published, Ok(Ok(())));
            if published {
                tracing::debug!(%ticket, "the order of an unknown ticket was published again");
            }
            metric::repaired(published);
            drop(permit);
        });
    }
}
