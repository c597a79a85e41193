//! The read batcher: single reads go out in batches that form by themselves. While calls are in
//! flight, reads queue up; the next call takes them all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lookup::{Asked, Doubt, Lookup, Reading, Silence};
use crate::metric;
use crate::settings::Settings;

/// The most tickets in one call of a store.
const A_CALL: usize = 512;

/// Calls of the gate in flight.
const GATE_CALLS: usize = 2;

/// More reads wait already than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

type Answer = oneshot::Sender<Result<Reading, Busy>>;

/// Reads tickets. Gate and ledger have queues of their own, so that a slow ledger delays no
/// read that the gate can answer.
pub(crate) struct Reader {
    lookup: Arc<Lookup>,
    queue: mpsc::Sender<(Asked, Answer)>,
    ledger_queue: mpsc::Sender<(Doubt, Answer)>,
    ledger_calls: Arc<Semaphore>,
    within: Duration,
    overdue_after: Duration,
}

impl Reader {
    /// Starts the batchers on `tasks`; they end when `stop` fires.
    pub(crate) fn start(
        lookup: Arc<Lookup>,
        settings: &Settings,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (queue, reads) = mpsc::channel(settings.gate_queue);
        let (ledger_queue, doubts) = mpsc::channel(settings.ledger_queue);
        let ledger_calls = Arc::new(Semaphore::new(settings.ledger_calls));
        let gate = {
            let (lookup, doubtful) = (lookup.clone(), ledger_queue.clone());
            move |reads| ask_gate(lookup.clone(), doubtful.clone(), reads)
        };
        let gate_calls = Arc::new(Semaphore::new(GATE_CALLS));
        tasks.spawn(batches(reads, gate_calls, tasks.clone(), stop.clone(), gate));
        let ledger = {
            let lookup = lookup.clone();
            move |doubts| ask_ledger(lookup.clone(), doubts)
        };
        tasks.spawn(batches(doubts, ledger_calls.clone(), tasks.clone(), stop.clone(), ledger));
        Self {
            lookup,
            queue,
            ledger_queue,
            ledger_calls,
            within: settings.read_within,
            overdue_after: settings.overdue_after,
        }
    }

    /// Reads one ticket, by a read that is sent after this call.
    pub(crate) async fn read(&self, asked: Asked) -> Result<Reading, Busy> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send((asked, answer)).map_err(|_| Busy)?;
        self.in_time(answered).await
    }

    /// Reads one ticket from the ledger alone, by a read that is sent after this call.
    pub(crate) async fn read_ledger(&self, asked: Asked) -> Result<Reading, Busy> {
        let (answer, answered) = oneshot::channel();
        let doubt = Doubt { asked, silence: Silence::Failed };
        self.ledger_queue.try_send((doubt, answer)).map_err(|_| {
            metric::ledger_busy();
            Busy
        })?;
        self.in_time(answered).await
    }

    async fn in_time(
        &self,
        answered: oneshot::Receiver<Result<Reading, Busy>>,
    ) -> Result<Reading, Busy> {
        match tokio::time::timeout(self.within, answered).await {
            Ok(Ok(reading)) => reading,
            Ok(Err(_)) | Err(_) => Ok(Reading::NoAnswer),
        }
    }

    /// Reads many tickets for one patient caller, a call at a time. One answer a ticket, in
    /// their order.
    pub(crate) async fn read_all(&self, asked: &[Asked]) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(asked.len());
        for part in asked.chunks(A_CALL) {
            readings.extend(self.read_part(part).await);
        }
        readings
    }

    async fn read_part(&self, asked: &[Asked]) -> Vec<Reading> {
        let mut from_gate = self.lookup.gate(asked).await;
        let now = self.lookup.now();
        let (mut places, mut doubts) = (Vec::new(), Vec::new());
        for (place, (answer, asked)) in from_gate.iter().zip(asked).enumerate() {
            let silence = match answer {
                Err(silence) => *silence,
                Ok(reading) if reading.is_overdue(self.overdue_after, now) => Silence::Failed,
                Ok(_) => continue,
            };
            places.push(place);
            doubts.push(Doubt { asked: asked.clone(), silence });
        }
        if !doubts.is_empty() {
            let _permit = self.ledger_calls.acquire().await;
            let from_ledger = self.lookup.ledger(&doubts).await;
            for (place, reading) in places.into_iter().zip(from_ledger) {
                // Without a verdict of the ledger, what is pending in the gate stays so.
                if from_gate[place].is_err() || matches!(reading, Reading::Known(_)) {
                    from_gate[place] = Ok(reading);
                }
            }
        }
        from_gate.into_iter().map(|reading| reading.unwrap_or(Reading::NoAnswer)).collect()
    }

    /// How full the fuller of the two queues is, from 0 to 1.
    pub(crate) fn load(&self) -> f64 {
        fn fill<T>(queue: &mpsc::Sender<T>) -> f64 {
            1.0 - queue.capacity() as f64 / queue.max_capacity() as f64
        }
        fill(&self.queue).max(fill(&self.ledger_queue))
    }
}

/// Takes what waits in `queue` and runs one call for all of it, as long as `calls` allows.
async fn batches<T, F>(
    mut queue: mpsc::Receiver<T>,
    calls: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    call: impl Fn(Vec<T>) -> F,
) where
    T: Send,
    F: Future<Output = ()> + Send + 'static,
{
    let work = async {
        while let Ok(permit) = calls.clone().acquire_owned().await {
            let mut batch = Vec::new();
            if queue.recv_many(&mut batch, A_CALL).await == 0 {
                return;
            }
            let call = call(batch);
            tasks.spawn(async move {
                call.await;
                drop(permit);
            });
        }
    };
    stop.run_until_cancelled(work).await;
}

async fn ask_gate(
    lookup: Arc<Lookup>,
    doubtful: mpsc::Sender<(Doubt, Answer)>,
    reads: Vec<(Asked, Answer)>,
) {
    let (asked, answers): (Vec<Asked>, Vec<Answer>) = reads.into_iter().unzip();
    let readings = lookup.gate(&asked).await;
    for ((asked, answer), reading) in asked.into_iter().zip(answers).zip(readings) {
        let refused = match reading {
            Ok(reading) => {
                // Who has gone needs no answer.
                let _ = answer.send(Ok(reading));
                continue;
            }
            Err(silence) => doubtful.try_send((Doubt { asked, silence }, answer)),
        };
        if let Err(refused) = refused {
            metric::ledger_busy();
            let (_, answer) = refused.into_inner();
            let _ = answer.send(Err(Busy));
        }
    }
}

async fn ask_ledger(lookup: Arc<Lookup>, doubts: Vec<(Doubt, Answer)>) {
    let (doubts, answers): (Vec<Doubt>, Vec<Answer>) = doubts.into_iter().unzip();
    for (answer, reading) in answers.into_iter().zip(lookup.ledger(&doubts).await) {
        let _ = answer.send(Ok(reading));
    }
}
