//! The worker: takes orders from the log, has the ledger decide them, brings the verdicts to
//! the gate and tells the watchers; tries failed orders again; looks after rounds.
//!
//! It is the only writer of orders. Every step may happen twice: the ledger decides a ticket
//! once, and the gate takes only newer versions.

mod breaker;
mod consume;
mod contact;
mod decide;
mod metric;
mod retry;
mod rounds;
mod run;
mod settings;
mod settle;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use sale::id::RoundId;
use store::Seams;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use settings::Settings;

use breaker::Breaker;
use consume::Consumer;
use contact::Contact;
use decide::Decider;
use retry::Retries;
use rounds::{Keeper, Walked};
use run::Stop;
use settle::Settler;

/// The running worker.
pub struct Worker {
    tasks: TaskTracker,
    seams: Seams,
    contact: Arc<Contact>,
    breaker: Arc<Breaker>,
    walked: Arc<Walked>,
    keeper: Arc<Mutex<Keeper>>,
    settings: Settings,
    probed: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Worker {
    /// Starts all of it on the present runtime, until `stop` fires. An engine that is away
    /// does not stop it: it waits for it, and is not ready meanwhile.
    pub fn start(seams: Seams, settings: Settings, stop: CancellationToken) -> Self {
        metric::describe();
        let stop = Stop::new(stop, settings.finish_within);
        let tasks = TaskTracker::new();
        let contact = Arc::new(Contact::new(seams.clone(), &settings));
        let breaker = Arc::new(Breaker::new(stop.clone(), &settings));
        let decider = Arc::new(Decider::new(seams.clone(), contact.clone(), breaker.clone()));
        let settler = Settler::new(seams.clone(), breaker.clone());
        let walked = Arc::new(Walked::default());

        let consumer = Arc::new(Consumer {
            log: seams.log.clone(),
            decider: decider.clone(),
            settler: settler.clone(),
            breaker: breaker.clone(),
            walked: walked.clone(),
            together: settings.orders_together,
            silent_after: settings.silent_after,
            stop: stop.clone(),
        });
        tasks.spawn(run::kept_alive("consumer", stop.clone(), move || consumer.clone().run()));

        let renewed = contact.clone();
        tasks.spawn(run::every("contact", settings.contact_every, stop.clone(), move || {
            let contact = renewed.clone();
            async move { contact.renew().await }
        }));

        let retries = Arc::new(Retries::new(decider, settler, settings.retries_most));
        tasks.spawn(run::every("retries", settings.retry_every, stop.clone(), move || {
            let retries = retries.clone();
            async move { retries.step().await }
        }));

        let keeper = Keeper::new(seams.clone(), walked.clone(), &settings);
        let keeper = Arc::new(Mutex::new(keeper));
        let tending = keeper.clone();
        tasks.spawn(run::every("rounds", settings.tend_every, stop.clone(), move || {
            let keeper = tending.clone();
            async move { keeper.lock().await.step().await }
        }));
        let recovering = keeper.clone();
        tasks.spawn(run::every("recovering", settings.recover_every, stop, move || {
            let keeper = recovering.clone();
            async move { keeper.lock().await.recover().await }
        }));
        tasks.close();
        Self { tasks, seams, contact, breaker, walked, keeper, settings, probed: Mutex::new(None) }
    }

    /// Rounds whose gate is being rebuilt, as the last walk saw it; of many, the first hundred.
    pub fn recovering(&self) -> Vec<RoundId> {
        self.walked.recovering()
    }

    /// Whether orders can get their verdicts: tries ledger, gate and log, at most once a
    /// [`Settings::probe_every`]. Says in words what is missing.
    pub async fn ready(&self) -> Result<(), String> {
        let mut probed = self.probed.lock().await;
        if let Some((at, answer)) = &*probed
            && at.elapsed() < self.settings.probe_every
        {
            return answer.clone();
        }
        let answer = self.probe().await;
        *probed = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn probe(&self) -> Result<(), String> {
        if !self.contact.was_made().await {
            return Err("the worker has not reached the ledger yet".into());
        }
        if let Some(engine) = self.breaker.waits_for() {
            return Err(format!("the {} is away: the worker is paused", engine.name()));
        }
        let Seams { gate, log, ledger } = &self.seams;
        let (gate, log, ledger) = tokio::join!(gate.probe(), log.probe(), ledger.probe());
        let gate = gate.map_err(|error| error.to_string());
        let log = log.map_err(|error| error.to_string());
        let ledger = ledger.map_err(|error| error.to_string());
        let missing: Vec<_> = [gate, log, ledger].into_iter().filter_map(Result::err).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    /// Waits until all of it has ended, after `stop` has fired. The deliveries in hand are
    /// finished first if the ledger answers within [`Settings::finish_within`]; what is not
    /// finished stands in the outbox or is set aside, and comes again.
    pub async fn end(self) {
        self.tasks.wait().await;
        self.keeper.lock().await.end().await;
    }
}
