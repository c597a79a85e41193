//! What the handlers of one push node share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use futures_util::future::join_all;
use store::stage;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{NoAccess, Viewer};
use crate::hub::Hub;
use crate::lookup::Lookup;
use crate::present::{NotShown, Present};
use crate::reader::Reader;
use crate::repair::Repair;
use crate::settings::Settings;
use crate::shown::Shown;
use crate::watch::Watch;
use crate::{Keys, Seams};

pub(crate) struct Node {
    pub(crate) hub: Arc<Hub>,
    pub(crate) present: Arc<Present>,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    /// Fires when everybody is to be sent away.
    pub(crate) draining: CancellationToken,
    /// Fires when what is left is to be dropped.
    pub(crate) ended: CancellationToken,
    /// The tasks of WebSockets.
    pub(crate) sockets: TaskTracker,
    /// Room for further WebSockets.
    pub(crate) room: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Node {
    pub(crate) fn start(
        seams: Seams,
        keys: Keys,
        settings: Settings,
        ended: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        let Seams { gate, log, ledger } = seams;
        let install = ledger.install();
        let lookup = Arc::new(Lookup::new(gate.clone(), ledger));
        let reader = Reader::start(lookup.clone(), &settings, &tasks, &ended);
        let repair = Repair::new(log, install, settings.resend_after, tasks.clone());
        Self {
            hub: Arc::default(),
            present: Arc::new(Present {
                gate,
                lookup,
                reader,
                repair,
                overdue_after: settings.overdue_after,
                verdict_within: settings.verdict_within,
            }),
            keys,
            room: Arc::new(Semaphore::new(settings.sockets)),
            settings,
            draining: CancellationToken::new(),
            ended,
            sockets: TaskTracker::new(),
            tasks,
        }
    }

    /// Runs a task of this node until it ends or the node does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.tasks.spawn(async move {
            ended.run_until_cancelled(task).await;
        });
    }

    /// The right that a request for the ticket `id` brings.
    pub(crate) fn viewer(&self, id: Option<&str>, headers: &HeaderMap) -> Result<Viewer, NoAccess> {
        let Keys { tokens, buyers, origins: _ } = &self.keys;
        Viewer::of(id, headers, tokens, buyers, store::clock::now())
    }

    /// A watch on one ticket; to be made before the ticket is read.
    pub(crate) fn watch(&self, viewer: &Viewer) -> Watch {
        let watch = Watch::new(self.hub.clone());
        watch.add(viewer.ticket());
        watch
    }

    /// What a stream shows first: the ticket, by a read that is sent after it was watched, to one
    /// who has `seen` this version. Where the read fails, a token still sees what the feed has
    /// brought meanwhile.
    pub(crate) async fn first(
        &self,
        viewer: &Viewer,
        watch: &Watch,
        seen: u32,
    ) -> Result<Arc<Shown>, NotShown> {
        let since = self.hub.moment();
        match (self.present.read(viewer, seen).await, viewer) {
            (Ok(ticket), _) => {
                self.hub.vouch(viewer);
                self.hub.tell(&ticket, since);
                Ok(self.hub.newest(&ticket))
            }
            (Err(failed), Viewer::Token(order)) => watch.heard(order.ticket).ok_or(failed),
            (Err(failed), Viewer::Buyer { .. }) => Err(failed),
        }
    }

    /// Reads tickets that are watched, and tells them to their watchers. Nobody waits for it:
    /// what cannot be read now is read with the next refresh.
    pub(crate) fn tell_present(self: &Arc<Self>, viewers: Vec<Viewer>) {
        let node = self.clone();
        let since = self.hub.moment();
        self.spawn(async move {
            let reads = viewers.iter().map(|viewer| async {
                if let Ok(ticket) = node.present.read(viewer, 0).await {
                    node.hub.tell(&ticket, since);
                }
            });
            join_all(reads).await;
        });
    }

    /// Notes that a version has left for somebody who waited for it.
    pub(crate) fn sent(&self, shown: &Shown) {
        if let Some(granted_at) = shown.awaited_since {
            stage::sent(shown.id, granted_at, self.present.gate.now());
        }
    }

    /// When a polling client should ask again: later when the readers are busy.
    pub(crate) fn poll_after(&self) -> Duration {
        self.settings.poll_after.mul_f64(1.0 + 9.0 * self.present.reader.load())
    }

    pub(crate) async fn end(&self) {
        self.draining.cancel();
        self.ended.cancel();
        for tasks in [&self.sockets, &self.tasks] {
            tasks.close();
            tasks.wait().await;
        }
    }
}
