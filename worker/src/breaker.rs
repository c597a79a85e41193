//! The breaker: while an engine is away nothing is given up and nothing new is taken.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::ledger::LedgerError;

use crate::metric;
use crate::run::Stop;

/// What can be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Gate,
    Log,
    Ledger,
}

impl Engine {
    const ALL: [Self; 3] = [Self::Gate, Self::Log, Self::Ledger];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Log => "log",
            Self::Ledger => "ledger",
        }
    }
}

/// Repeats calls that found their engine away, with jittered pauses that double.
pub(crate) struct Breaker {
    stop: Stop,
    least: Duration,
    most: Duration,
    away: [AtomicBool; Engine::ALL.len()],
}

/// The engine cannot be reached at present; what was said of it.
#[derive(Debug)]
pub(crate) struct Away(pub(crate) String);

/// Why a call of the ledger got no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The stop was asked for while the ledger was away.
    Stopped,
    /// The ledger refuses this very call, with these words.
    Refused(String),
}

impl Breaker {
    pub(crate) fn new(stop: Stop, settings: &crate::Settings) -> Self {
        Engine::ALL.into_iter().for_each(|engine| metric::paused(engine.name(), false));
        Self {
            stop,
            least: settings.pause_least,
            most: settings.pause_most,
            away: Default::default(),
        }
    }

    /// Makes the call until the engine answers it; `None` if the stop was asked for while it
    /// was away. At least one try is made, also after that.
    pub(crate) async fn answered<T, F>(&self, engine: Engine, call: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Away>>,
    {
        let mut pause = self.least;
        loop {
            match call().await {
                Ok(answer) => {
                    self.found_back(engine);
                    return Some(answer);
                }
                Err(Away(error)) => self.found_away(engine, &error),
            }
            if self.stop.was_asked() {
                return None;
            }
            self.stop.pause(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(self.most);
        }
    }

    /// The same for a call of the ledger.
    pub(crate) async fn of_ledger<T, F>(&self, call: impl Fn() -> F) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        let call = || {
            let called = call();
            async {
                match called.await {
                    Ok(answer) => Ok(Ok(answer)),
                    Err(LedgerError::Refused(error)) => Ok(Err(Unanswered::Refused(error))),
                    Err(LedgerError::Unavailable(error)) => Err(Away(error)),
                }
            }
        };
        self.answered(Engine::Ledger, call).await.unwrap_or(Err(Unanswered::Stopped))
    }

    /// An engine that calls wait for, if any does.
    pub(crate) fn waits_for(&self) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| self.away[*engine as usize].load(Ordering::Relaxed))
    }

    fn found_away(&self, engine: Engine, error: &str) {
        if !self.away[engine as usize].swap(true, Ordering::Relaxed) {
            let engine = engine.name();
            tracing::warn!(engine, error, "an engine is away: orders wait until it is back");
            metric::paused(engine, true);
        }
    }

    fn found_back(&self, engine: Engine) {
        if self.away[engine as usize].swap(false, Ordering::Relaxed) {
            let engine = engine.name();
            tracing::info!(engine, "an engine is back: orders go on");
            metric::paused(engine, false);
        }
    }
}
