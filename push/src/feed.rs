//! What keeps watchers up to date: the feed of outcomes, a hint, and the refresher, which needs
//! no feed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sale::id::InstallId;
use store::log::{Feed, FeedEvent, Log, LogError};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use crate::hub::Hub;
use crate::metric;
use crate::present::Present;

/// Tickets that a refresh reads before it tells the first of them.
const AT_ONCE: usize = 512;

/// Bounds of the wait before a feed that failed is built again.
const REBUILD_AFTER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Runs a task that never ends by itself, again whenever it panics: one bad message or answer
/// must not leave everybody without news.
pub(crate) async fn keep<F: Future<Output = ()>>(name: &'static str, task: impl Fn() -> F) {
    while AssertUnwindSafe(task()).catch_unwind().await.is_err() {
        tracing::error!(task = name, "a task panicked; it is started again");
        tokio::time::sleep(REBUILD_AFTER.1).await;
    }
}

/// Tells the hub what the feed says, for ever. After a gap, and whenever the feed had to be
/// built again, `missed` asks for a refresh.
pub(crate) async fn follow(log: Log, install: InstallId, hub: Arc<Hub>, missed: Arc<Notify>) {
    let (shortest, longest) = REBUILD_AFTER;
    let mut wait = shortest;
    loop {
        let error = match log.outcomes().await {
            Ok(mut feed) => {
                missed.notify_one();
                listen(&mut feed, install, &hub, &missed, || wait = shortest).await
            }
            Err(error) => error,
        };
        metric::feed_failed();
        tracing::warn!(%error, "the feed of outcomes failed; watched tickets are read meanwhile");
        tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
        wait = (wait * 2).min(longest);
    }
}

async fn listen(
    feed: &mut Feed,
    install: InstallId,
    hub: &Hub,
    missed: &Notify,
    mut works: impl FnMut(),
) -> LogError {
    loop {
        match feed.next().await {
            Ok(FeedEvent::Outcomes(outcomes)) => {
                works();
                for outcome in outcomes.iter() {
                    if outcome.install == install {
                        metric::outcome(hub.bring(&outcome.ticket, hub.moment()));
                    } else {
                        tracing::warn!(ticket = %outcome.ticket.id, "an outcome of another install was dropped");
                    }
                }
            }
            Ok(FeedEvent::Gap) => {
                metric::feed_gap();
                missed.notify_one();
            }
            Err(error) => return error,
        }
    }
}

/// Reads every watched ticket without a final again, for ever: each `every`, and at once when
/// the feed has `missed` something.
pub(crate) async fn refresh(
    present: Arc<Present>,
    hub: Arc<Hub>,
    every: Duration,
    missed: Arc<Notify>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = missed.notified() => {}
        }
        metric::watched(hub.watched());
        let undecided = hub.undecided();
        for part in undecided.chunks(AT_ONCE) {
            let since = hub.moment();
            for ticket in present.read_all(part).await.into_iter().flatten() {
                hub.bring(&ticket, since);
            }
        }
    }
}
