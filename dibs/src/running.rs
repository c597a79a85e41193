//! A started process, until its end.

use std::time::Duration;

use std::sync::Arc;
use store::Seams;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::assemble::Started;
use crate::data::DataFolder;
use crate::readiness::Readiness;

/// The roles of one process, running. Dropped without [`Running::shut_down`], all of it is
/// told to stop and nothing is waited for.
pub struct Running {
    pub(crate) started: Started,
    pub(crate) stops: Stops,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) seams: Seams,
    /// The server for buyers.
    pub(crate) served: TaskTracker,
    /// What runs until the very end.
    pub(crate) ended: TaskTracker,
    pub(crate) drain_within: Duration,
    pub(crate) folder: Option<DataFolder>,
}

/// The signals between the parts of a process.
pub(crate) struct Stops {
    /// No new connections of buyers.
    pub(crate) accepting: CancellationToken,
    /// One a role. A role whose task dies fires its own.
    pub(crate) api: CancellationToken,
    pub(crate) push: CancellationToken,
    pub(crate) worker: CancellationToken,
    /// The ops server goes last.
    pub(crate) ops: CancellationToken,
    /// A server has ended, though nobody asked it to.
    pub(crate) broken: CancellationToken,
    _all_when_dropped: DropGuard,
}

impl Default for Stops {
    fn default() -> Self {
        let all = CancellationToken::new();
        Self {
            accepting: all.child_token(),
            api: all.child_token(),
            push: all.child_token(),
            worker: all.child_token(),
            ops: all.child_token(),
            broken: all.child_token(),
            _all_when_dropped: all.drop_guard(),
        }
    }
}

/// What of the time to drain each step may take at most.
pub(crate) struct Steps {
    /// Clients are told, requests in hand are answered.
    pub(crate) connections: Duration,
    /// Claims and orders in hand are finished.
    pub(crate) roles: Duration,
    /// What the log has taken is handed over, the journal is flushed, all is closed.
    pub(crate) engines: Duration,
}

pub(crate) fn steps(drain_within: Duration) -> Steps {
    let tenth = drain_within / 10;
    Steps { connections: tenth * 5, roles: tenth * 3, engines: tenth }
}

impl Running {
    /// What the start found and made.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Waits until a part has ended that must not; its name.
    pub async fn broken(&self) -> &'static str {
        tokio::select! {
            () = self.stops.broken.cancelled() => "a server",
            () = self.stops.api.cancelled() => "api",
            () = self.stops.push.cancelled() => "push",
            () = self.stops.worker.cancelled() => "worker",
        }
    }

    /// Drains and ends: not ready at once, no new connections, clients told, work in hand
    /// finished, everything that was answered on disk. Takes at most the time to drain;
    /// answers whether the engines were closed within it.
    pub async fn shut_down(self) -> bool {
        let steps = steps(self.drain_within);
        self.readiness.drain();
        self.stops.accepting.cancel();
        self.served.close();
        let connections = async {
            tokio::join!(self.readiness.say_goodbye(), self.served.wait());
        };
        within(steps.connections, "connections", connections).await;

        for stop in [&self.stops.api, &self.stops.worker, &self.stops.push] {
            stop.cancel();
        }
        let roles = async {
            if let Some(crew) = self.readiness.take().await {
                crew.end().await;
            }
        };
        within(steps.roles, "roles", roles).await;

        let engines = async {
            self.seams.log.close().await;
            self.seams.gate.close().await;
            self.seams.ledger.close().await;
            self.stops.ops.cancel();
            self.ended.close();
            self.ended.wait().await;
        };
        let closed = within(steps.engines, "engines", engines).await;
        drop(self.folder);
        closed
    }
}

async fn within(time: Duration, step: &str, work: impl Future<Output = ()>) -> bool {
    let done = tokio::time::timeout(time, work).await.is_ok();
    if !done {
        tracing::warn!(step, ?time, "the end of this step was not waited for any longer");
    }
    done
}
