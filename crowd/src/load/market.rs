//! What all buyers of a load share.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::{Client, Clock, Error, Options, Sale, Timestamp, pause_after};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sale::id::TicketId;
use tokio::time::sleep;

use super::plan::{Door, Plan};
use super::progress::Progress;
use crate::history::Recorder;

/// How long before his moment a buyer's page is opened.
pub(super) const PAGE: Duration = Duration::from_secs(2);

/// Idle connections that are kept for each server.
const IDLE: usize = 1024;

/// How long one request may take. A buyer asks again after that, under the same request id.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Tickets that are remembered for those who ask for somebody else's: the last ones.
const STRANGERS: usize = 64;

pub(super) struct Market {
    pub(super) plan: Plan,
    pub(super) recorder: Recorder,
    pub(super) progress: Progress,
    pub(super) clients: Vec<Client>,
    pub(super) sales: Vec<Sale>,
    pub(super) clock: Clock,
    /// When the schedule begins.
    pub(super) begin: Instant,
    /// Whether that is when a sale opens.
    pub(super) opens: bool,
    strangers: Mutex<Vec<(String, TicketId)>>,
}

impl Market {
    /// Reads the server's clock and the sales.
    pub(super) async fn open(
        plan: &Plan,
        recorder: &Recorder,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let clients =
            plan.doors.iter().map(|door| reach(door, plan)).collect::<Result<Vec<_>, _>>()?;
        let first = clients.first().ok_or_else(|| Error::Setup("a load needs a door".into()))?;
        let clock = insist(plan.patience, || first.clock()).await?;
        let mut sales = Vec::new();
        for id in &plan.sales {
            sales.push(insist(plan.patience, || first.sale(id)).await?);
        }
        let opening = sales.iter().map(|sale| sale.opens_at).max();
        let opening = opening.ok_or_else(|| Error::Setup("a load needs a sale".into()))?;
        let until = clock.until(opening);
        let opens = !until.is_zero();
        let begin = Instant::now() + if opens { until } else { PAGE };
        Ok(Self {
            plan: plan.clone(),
            recorder: recorder.clone(),
            progress: progress.clone(),
            clients,
            sales,
            clock,
            begin,
            opens,
            strangers: Mutex::default(),
        })
    }

    /// What speaks to the n-th of the doors, and round again.
    pub(super) fn client(&self, n: usize) -> &Client {
        &self.clients[n % self.clients.len()]
    }

    /// The begin of the schedule, by the server's clock.
    pub(super) fn began(&self) -> Timestamp {
        self.clock.now().plus(self.begin.saturating_duration_since(Instant::now()))
    }

    /// When the n-th buyer's moment is.
    pub(super) fn due(&self, n: usize) -> Instant {
        self.begin + self.plan.arrivals.at(n)
    }

    /// A moment of the server's clock on this machine's.
    pub(super) fn moment(&self, at: Timestamp) -> Instant {
        Instant::now() + self.clock.until(at)
    }

    /// Shows a ticket to those who ask for somebody else's.
    pub(super) fn show(&self, buyer: &str, ticket: TicketId, dice: &mut StdRng) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() < STRANGERS {
            strangers.push((buyer.to_owned(), ticket));
        } else {
            strangers[dice.random_range(0..STRANGERS)] = (buyer.to_owned(), ticket);
        }
    }

    /// A ticket of somebody else.
    pub(super) fn stranger(&self, buyer: &str, dice: &mut StdRng) -> Option<TicketId> {
        let strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let from = dice.random_range(0..STRANGERS);
        let mut all = strangers.iter().cycle().skip(from).take(strangers.len());
        all.find(|(owner, _)| owner != buyer).map(|(_, ticket)| *ticket)
    }
}

fn reach(door: &Door, plan: &Plan) -> Result<Client, Error> {
    let mut options = Options::new(door.api.clone()).push(door.push.clone());
    options.ca_file.clone_from(&plan.ca);
    options.answer_within = ANSWER_WITHIN.min(plan.patience);
    options.idle_connections = IDLE.min(plan.most_open);
    Client::new(options)
}

/// Asks until there is an answer, for so long.
async fn insist<T, F: Future<Output = Result<T, Error>>>(
    patience: Duration,
    ask: impl Fn() -> F,
) -> Result<T, Error> {
    let until = Instant::now() + patience;
    for tries in 0.. {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = pause_after(&error, tries);
        if !error.is_worth_another_try() || Instant::now() + pause >= until {
            return Err(error);
        }
        sleep(pause).await;
    }
    unreachable!("the tries have no end")
}
