//! The batcher: turns claims into calls of the gate, by natural backpressure.
//!
//! A lane a slot. While as many calls are in flight as may be, the lane's claims queue up; the
//! next call takes them all. An idle lane adds no wait, a crowd gets large batches.
//!
//! Public, so that it can be measured without HTTP around it.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use sale::grant::{Answer, Claim};
use sale::id::BatchId;
use sale::time::Timestamp;
use store::gate::{Gate, GateError, Slot};
use store::stage::{self, Stage};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metric;
use crate::publisher::Publisher;
use crate::settings::Settings;

/// What the gate said to one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// The gate's clock at the call.
    pub now: Timestamp,
}

/// Why a claim got no answer of the gate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// The slot's queue is full; the gate was not asked.
    #[error("too many claims are waiting")]
    QueueFull,
    /// The batcher has ended; the gate was not asked.
    #[error("this server is going down")]
    Ending,
    /// The call failed, or took too long.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// The lanes of all live slots.
pub struct Batcher {
    lanes: DashMap<Slot, mpsc::Sender<Waiting>>,
    gate: Gate,
    publisher: Publisher,
    bounds: Bounds,
    tasks: TaskTracker,
    /// Where lanes run, wherever the claim that opens one does.
    home: Handle,
    end: CancellationToken,
}

#[derive(Clone, Copy)]
struct Bounds {
    queued: usize,
    a_call: usize,
    in_flight: usize,
    claim_within: Duration,
}

struct Waiting {
    claim: Claim,
    answer: oneshot::Sender<Result<Answered, GateError>>,
}

impl Batcher {
    /// A batcher without lanes; the first claim of a slot opens its lane, on the runtime that is
    /// present here.
    pub fn new(gate: Gate, publisher: Publisher, settings: &Settings) -> Self {
        let bounds = Bounds {
            queued: settings.claims_queued.max(1),
            a_call: settings.claims_a_call.max(1),
            in_flight: settings.calls_in_flight.max(1),
            claim_within: settings.claim_within,
        };
        let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
        let home = Handle::current();
        Self { lanes: DashMap::new(), gate, publisher, bounds, tasks, home, end }
    }

    /// Asks the gate. Who drops the future gives up the answer, not the claim.
    pub async fn claim(&self, slot: Slot, claim: Claim) -> Result<Answered, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.queue(slot, Waiting { claim, answer })?;
        match tokio::time::timeout(self.bounds.claim_within, answered).await {
            Ok(Ok(answered)) => Ok(answered?),
            // Too late, or the call panicked: it may have had its effect.
            Ok(Err(_)) | Err(_) => Err(GateError::NotKnown.into()),
        }
    }

    /// Whether a claim of this slot would be refused for want of room now.
    pub(crate) fn is_full(&self, slot: Slot) -> bool {
        let full = self.lanes.get(&slot).is_some_and(|lane| lane.capacity() == 0);
        if full {
            metric::queue_full();
        }
        full
    }

    /// Ends the lanes of all slots but these; their queued claims are still answered.
    pub(crate) fn keep(&self, live: impl Fn(Slot) -> bool) {
        self.lanes.retain(|slot, _| live(*slot));
    }

    /// Answers what is queued, refuses what comes, and returns when no call is in flight.
    pub async fn end(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn queue(&self, slot: Slot, waiting: Waiting) -> Result<(), Unanswered> {
        let sent = match self.lanes.get(&slot) {
            Some(lane) => lane.try_send(waiting),
            None if self.end.is_cancelled() => return Err(Unanswered::Ending),
            None => self.lanes.entry(slot).or_insert_with(|| self.open(slot)).try_send(waiting),
        };
        sent.map_err(|refused| match refused {
            TrySendError::Full(_) => {
                metric::queue_full();
                Unanswered::QueueFull
            }
            TrySendError::Closed(_) => Unanswered::Ending,
        })
    }

    fn open(&self, slot: Slot) -> mpsc::Sender<Waiting> {
        let (lane, queue) = mpsc::channel(self.bounds.queued);
        let (gate, publisher) = (self.gate.clone(), self.publisher.clone());
        let caller = Arc::new(Caller { slot, gate, publisher });
        self.tasks.spawn_on(run(caller, queue, self.bounds, self.end.clone()), &self.home);
        lane
    }
}

/// One lane: forms calls until `end` fires or its slot is dropped, and its queue is empty.
async fn run(
    caller: Arc<Caller>,
    mut queue: mpsc::Receiver<Waiting>,
    bounds: Bounds,
    end: CancellationToken,
) {
    let mut calls = JoinSet::new();
    let mut taken = Vec::new();
    let mut end = std::pin::pin!(end.cancelled_owned());
    loop {
        while calls.len() >= bounds.in_flight {
            calls.join_next().await;
        }
        let count = tokio::select! {
            count = queue.recv_many(&mut taken, bounds.a_call) => count,
            () = &mut end, if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        if count == 0 {
            break;
        }
        // Claims that have arrived and not been read yet come along: a crowd that was answered
        // together is back together. It costs an idle lane one look at the sockets.
        tokio::task::yield_now().await;
        while taken.len() < bounds.a_call
            && let Ok(waiting) = queue.try_recv()
        {
            taken.push(waiting);
        }
        calls.spawn(caller.clone().call(std::mem::take(&mut taken)));
    }
    while calls.join_next().await.is_some() {}
}

struct Caller {
    slot: Slot,
    gate: Gate,
    publisher: Publisher,
}

impl Caller {
    /// One call of the gate: answers all its claims, then hands the batch over.
    async fn call(self: Arc<Self>, taken: Vec<Waiting>) {
        let (claims, answers): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|waiting| (waiting.claim, waiting.answer)).unzip();
        let (batch, begun) = (BatchId(rand::random()), Instant::now());
        let grants = self.gate.grant(self.slot, batch, &claims).await;
        metric::asked(claims.len(), &grants, begun.elapsed());
        // A receiver that is gone has given up the answer.
        match grants {
            Ok(grants) => {
                for (to, answer) in answers.into_iter().zip(grants.answers) {
                    let _ = to.send(Ok(Answered { answer, now: grants.now }));
                }
                if let Some(batch) = grants.batch {
                    stage::reached(Stage::Granted, &batch, self.gate.now());
                    self.publisher.hand_over(batch);
                }
            }
            Err(error) => {
                tracing::debug!(round = %self.slot.round, %error, "claims were not answered");
                for to in answers {
                    let _ = to.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
