//! How the worker's tasks run: until the stop, alive again after a panic.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metric;

/// Between a panic of a task and its next life.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// When to stop, and when to drop even what was begun.
#[derive(Clone)]
pub(crate) struct Stop {
    asked: CancellationToken,
    finish_within: Duration,
}

impl Stop {
    pub(crate) fn new(asked: CancellationToken, finish_within: Duration) -> Self {
        Self { asked, finish_within }
    }

    pub(crate) fn was_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Ends when the stop is asked for: nothing new is begun from then on.
    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Ends when the time to finish is over too.
    pub(crate) async fn overdue(&self) {
        self.asked.cancelled().await;
        tokio::time::sleep(self.finish_within).await;
    }

    /// Waits so long, or until the stop is asked for.
    pub(crate) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.asked() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

/// Does one step again and again. A step that was begun is finished, unless it takes longer
/// than the stop allows.
pub(crate) async fn every<F>(
    name: &'static str,
    pause: Duration,
    stop: Stop,
    step: impl Fn() -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let again = {
        let stop = stop.clone();
        move || {
            let (stop, step) = (stop.clone(), step.clone());
            async move {
                while !stop.was_asked() {
                    tokio::select! {
                        () = step() => {}
                        () = stop.overdue() => return,
                    }
                    stop.pause(pause).await;
                }
            }
        }
    };
    kept_alive(name, stop, again).await;
}

/// Runs a task until it ends, again after each panic.
pub(crate) async fn kept_alive<F>(name: &'static str, stop: Stop, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut life = JoinSet::new();
        life.spawn(task());
        match life.join_next().await {
            Some(Err(end)) if end.is_panic() => {
                tracing::error!(task = name, "a task of the worker panicked; it starts again");
                metric::panicked();
            }
            Some(Ok(()) | Err(_)) | None => return,
        }
        stop.pause(AFTER_PANIC).await;
        if stop.was_asked() {
            return;
        }
    }
}
