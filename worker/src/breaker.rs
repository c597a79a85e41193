//! The breaker: while the ledger is away nothing is given up and nothing new is taken.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::ledger::LedgerError;

use crate::metric;
use crate::run::Stop;

/// Repeats calls that found the ledger away, with jittered pauses that double.
pub(crate) struct Breaker {
    stop: Stop,
    least: Duration,
    most: Duration,
    away: AtomicBool,
}

/// Why a call got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The stop was asked for while the ledger was away.
    Stopped,
    /// The ledger refuses this very call, with these words.
    Refused(String),
}

impl Breaker {
    pub(crate) fn new(stop: Stop, settings: &crate::Settings) -> Self {
        metric::paused(false);
        Self {
            stop,
            least: settings.pause_least,
            most: settings.pause_most,
            away: AtomicBool::new(false),
        }
    }

    /// Makes the call until the ledger answers it. At least one try is made, also after the
    /// stop was asked for.
    pub(crate) async fn answered<T, F>(&self, call: impl Fn() -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        let mut pause = self.least;
        loop {
            match call().await {
                Ok(answer) => {
                    self.found_back();
                    return Ok(answer);
                }
                Err(LedgerError::Refused(error)) => {
                    self.found_back();
                    return Err(Unanswered::Refused(error));
                }
                Err(LedgerError::Unavailable(error)) => self.found_away(&error),
            }
            if self.stop.was_asked() {
                return Err(Unanswered::Stopped);
            }
            self.stop.pause(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(self.most);
        }
    }

    /// Whether a call waits for the ledger to come back.
    pub(crate) fn is_open(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    fn found_away(&self, error: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "the ledger is away: orders wait until it is back");
            metric::paused(true);
        }
    }

    fn found_back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the ledger is back: orders go on");
            metric::paused(false);
        }
    }
}
